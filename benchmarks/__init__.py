"""How fast bench is beside what people use; `python -m benchmarks` measures it."""
