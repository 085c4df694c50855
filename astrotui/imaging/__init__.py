"""Arrays in, arrays out: the image processing of astrotui, without files or catalogue."""
