# What a person types; the work is done by the scripts in .ci.
.PHONY: all help build packages man reproduce test check fuzz demo ci generate clean

all: build

help: ## what can be made
	@sed -n 's/^\([a-z]*\): ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

build: ## both programs, stripped, into bin/; VERSION names the version
	.ci/build

packages: ## deb, rpm and tar.gz of both programs, into bin/packages/
	.ci/package/make

man: build ## the manual pages, into bin/
	for program in tandem tandem-agent; do bin/$$program man >bin/$$program.1; done

reproduce: ## builds the agent twice, from nothing, and compares
	.ci/reproduce

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
