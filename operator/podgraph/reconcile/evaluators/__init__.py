"""The evaluator pods, which run the functions of schedules and sensors."""
