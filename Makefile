# What a person types; the work is done by the scripts in .ci.
.PHONY: all help build test check fuzz demo ci generate clean

all: build

help: ## what can be made
	@sed -n 's/^\([a-z]*\): ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: ## both programs, into bin/
	go build -o bin/ ./cmd/tandem ./cmd/tandem-agent

test: ## all tests; installs what they need when root on Debian
	.ci/test

check: ## gofmt, vet, staticcheck, generated code, known vulnerabilities
	.ci/check

fuzz: ## every fuzz target for a few seconds
	.ci/fuzz

demo: ## the whole story on a throw-away lab
	go run ./cmd/tandem demo

ci: ## everything that has to be green before a merge
	.ci/run

generate: ## Go code from the proto files
	plugins/engine/plugin/generate.sh
	plugins/cloudsync/line/generate.sh

clean: ## removes what build made
	rm -rf bin
