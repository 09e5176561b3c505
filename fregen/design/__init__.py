"""What is asked: the design file, its layers, and the graph that they make.  The only reader of TOML."""
