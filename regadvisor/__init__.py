"""regadvisor: which regularizer should this model on this data start with?"""

__version__ = "0.1.0"
