package sandbox_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"mcpen/sandbox"
	"mcpen/sandbox/audit"
	"mcpen/sandbox/host"
	"mcpen/sandbox/plan"
	"mcpen/sandbox/policy"
	"mcpen/sandbox/program"
)

// From a command to a running server: its rights, its program, the layers that this
// machine can enforce, and then the start. The example leaves errors out; a program
// that uses this package calls Hook first in main.
func ExampleStart() {
	ctx := context.Background()
	dir, _ := os.MkdirTemp("", "example-")
	defer os.RemoveAll(dir)

	rules := policy.Closed("greeter") // no network, no file, no environment
	program, _ := program.Find([]string{"sh", "-c", `read line; echo '{"jsonrpc":"2.0","id":1,"result":{}}'; ls -A "$HOME"; exit 3`},
		program.FindEnv{Path: "/usr/bin:/bin", Home: dir})
	machine, _ := host.Probe(ctx, host.Ask{Home: dir, Runtime: filepath.Join(dir, "run"), Paths: plan.Asks(rules, program, dir)})
	told, err := plan.Compile(rules, program, machine)
	if err != nil {
		fmt.Println(err)
		return
	}

	in, client, _ := os.Pipe()
	answers, out, _ := os.Pipe()
	quiet, _ := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	defer quiet.Close()
	log := func(e audit.Event) error {
		if e.Kind == audit.KindExit {
			fmt.Println("exit", *e.Code)
		}
		return nil
	}
	box, err := sandbox.Start(ctx, told, sandbox.Stdio{In: in, Out: out, Err: quiet}, log, sandbox.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Fprintln(client, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	answer, _ := bufio.NewReader(answers).ReadString('\n')
	fmt.Print(answer)
	exit, err := box.Wait()
	fmt.Println(exit.Code, err)
	// Output:
	// {"jsonrpc":"2.0","id":1,"result":{}}
	// exit 3
	// 3 <nil>
}
