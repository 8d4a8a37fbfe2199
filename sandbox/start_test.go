package sandbox_test

import (
	"context"
	"os"
	"testing"

	"mcpen/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Hook()
	os.Exit(m.Run())
}

var _ = context.Background
