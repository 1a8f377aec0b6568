// Registers an accelerator that does nothing by itself under the name cuda, mps or xpu, before torch is imported.
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/detail/MPSHooksInterface.h>
#include <ATen/detail/XPUHooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <string>

// Hooks tell torch that the accelerator was built in and is there.
#define HOOKS(NAME, INTERFACE, HAS)                                                                 \
  struct NAME : at::INTERFACE {                                                                     \
    void init() const override {}                                                                   \
    bool HAS() const override { return true; }                                                      \
    bool isBuilt() const override { return true; }                                                  \
    bool isAvailable() const override { return true; }                                              \
    bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }                        \
    c10::DeviceIndex deviceCount() const override { return 1; }                                     \
    c10::DeviceIndex getCurrentDevice() const override { return 0; }                                \
    at::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }     \
    bool isPinnedPtr(const void*) const override { return false; }                                  \
  };
HOOKS(Cuda, CUDAHooksInterface, hasCUDA)
HOOKS(Mps, MPSHooksInterface, hasMPS)
HOOKS(Xpu, XPUHooksInterface, hasXPU)

// The guard answers autograd, which asks for the current device and stream: there is one of each, and it never waits.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType kind;
  explicit Guard(c10::DeviceType kind) : kind(kind) {}
  c10::DeviceType type() const override { return kind; }
  c10::Device getDevice() const override { return {kind, 0}; }
  c10::Device exchangeDevice(c10::Device) const override { return {kind, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, {kind, 0}); }
  c10::Stream getDefaultStream(c10::Device) const override { return c10::Stream(c10::Stream::DEFAULT, {kind, 0}); }
  c10::Stream exchangeStream(c10::Stream stream) const override { return stream; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
};

extern "C" void register_kind(const char* name) {
  const std::string kind = name;
  // A torch built for CUDA must not find that as well, so CUDA's own hooks give way to ones that have nothing.
  at::CUDAHooksRegistry()->Register("CUDAHooks", [cuda = kind == "cuda"](at::CUDAHooksArgs) {
    return cuda ? std::unique_ptr<at::CUDAHooksInterface>(new Cuda) : std::make_unique<at::CUDAHooksInterface>();
  }, c10::REGISTRY_PREFERRED);
  if (kind == "mps") at::MPSHooksRegistry()->Register("MPSHooks", [] { return std::unique_ptr<at::MPSHooksInterface>(new Mps); });
  if (kind == "xpu") at::XPUHooksRegistry()->Register("XPUHooks", [] { return std::unique_ptr<at::XPUHooksInterface>(new Xpu); });
}

extern "C" void register_guard(const char* name) {
  const auto kind = c10::Device(name).type();
  c10::impl::device_guard_impl_registry[static_cast<size_t>(kind)].store(new Guard(kind));
}
