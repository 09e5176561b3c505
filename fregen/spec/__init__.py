"""What a design means in integers: formats, alignments, tables, dither constants."""
