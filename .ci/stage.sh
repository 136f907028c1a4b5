# Sourced by the scripts beside it. Programs are built without cgo and without the names of folders, so that they are the same wherever they are built; tests, checks,
# demonstrations and packages are all built so, and the Graph SDK is compiled once for all of them.
export CGO_ENABLED=0
case " ${GOFLAGS:-} " in *" -trimpath "*) ;; *) export GOFLAGS="${GOFLAGS:-} -trimpath" ;; esac

# stage NAME COMMAND [ARGUMENT...] runs a command or function, and says how long it took.
stage() {
	local name=$1 began=$SECONDS status=0
	shift
	echo "== $name"
	"$@" || status=$?
	if [ "$status" = 0 ]; then
		echo "== $name: ok, $((SECONDS - began)) s"
	else
		echo "== $name: FAILED with exit status $status, $((SECONDS - began)) s"
	fi
	return "$status"
}
