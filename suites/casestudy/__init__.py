"""The case study: Fashion-MNIST, three really trained variants, and a live environment.

A suite names the model `casestudy:small_cnn`, and `casestudy:eight_bits` for the copy of it that is
deployed; nothing heavier than these is imported for it.
"""

from .copies import eight_bits
from .models import small_cnn

__all__ = ["eight_bits", "small_cnn"]
