"""A result becomes a picture: looks, previews, service."""
