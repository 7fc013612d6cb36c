.PHONY: help up down images
.DEFAULT_GOAL := help
NODE := PYTHONPATH=tests PYTHONDONTWRITEBYTECODE=1 python3 -m cluster.node

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

up: ## Start a one-node Kubernetes cluster (CLUSTER=kind: with Docker) and write .cluster/kubeconfig
	@$(NODE) up

down: ## End the cluster and remove all it made, but for compiled programs and caches
	@$(NODE) down

images: ## Build the operator and step images and load them into the cluster
	@$(NODE) images
