"""The controller of Jobs and JobDefinitions."""
