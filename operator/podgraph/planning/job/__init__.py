"""One Job or JobDefinition as a whole: from its spec to its conditions."""
