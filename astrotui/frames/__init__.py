"""One exposure on disk: metadata, headers, device layouts, pixels, output files."""
