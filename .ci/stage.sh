# Sourced by the scripts beside it: stage NAME COMMAND [ARGUMENT...] runs a command or function, and says how long it took.
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
