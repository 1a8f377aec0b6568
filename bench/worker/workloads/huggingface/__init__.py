"""The Trainer of Hugging Face: real Transformers training of BERT, with random weights on made tokens."""
