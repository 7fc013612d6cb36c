"""What runs in a pod of the operator: steps, pod groups, the resolve pod and evaluators."""
