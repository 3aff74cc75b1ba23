"""How fast, question by question: `python -m benchmarks.<question>`."""
