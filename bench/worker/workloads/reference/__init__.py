"""Reference models of guides in a plain torch loop: the family ``torch``."""
