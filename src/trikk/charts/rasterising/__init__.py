"""Pictures as pixels, for what shows no SVG: mails, and files that are asked for as PNG."""
