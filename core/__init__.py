"""The product without its front doors."""
