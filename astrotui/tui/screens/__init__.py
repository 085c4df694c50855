"""The five places."""
