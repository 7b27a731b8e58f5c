"""The case study: Fashion-MNIST, three really trained variants, and a live environment.

A suite names the model `casestudy:small_cnn`; nothing heavier than that is imported for it.
"""

from .models import small_cnn

__all__ = ["small_cnn"]
