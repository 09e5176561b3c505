"""Pictures: learning curves, state evolution, graphs."""
