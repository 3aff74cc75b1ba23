"""What XLA must be told, asked or spared, behind functions that the solver calls."""
