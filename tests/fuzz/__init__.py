"""Every input that users write, made up: no error but the documented one, and a bound for time and size."""
