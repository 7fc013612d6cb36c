"""The pods, ConfigMaps and claims that the operator creates, as the API server takes them."""
