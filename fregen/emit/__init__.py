"""From hardware to text: Verilog, RTLIL, manifest, rendered templates, resource counts."""
