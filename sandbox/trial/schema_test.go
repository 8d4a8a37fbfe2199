package trial_test

import (
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"mcpen/sandbox/trial"
)

var update = flag.Bool("update", false, "write the golden files")

// Programs read the report: a field that disappears or changes its meaning breaks them
// and requires a new ReportVersion. An additional field needs only an entry here.
func TestReportSchema(t *testing.T) {
	var b strings.Builder
	fields(&b, "", reflect.TypeFor[trial.Report]())
	const file = "testdata/report-v1.golden"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) || trial.ReportVersion != 1 {
		t.Errorf("the report's fields are\n%s\nwant those of version 1:\n%s", b.String(), want)
	}
}

// fields lists the JSON fields of a type.
func fields(b *strings.Builder, at string, of reflect.Type) {
	switch of.Kind() {
	case reflect.Pointer:
		fields(b, at, of.Elem())
	case reflect.Slice:
		fields(b, at+"[]", of.Elem())
	case reflect.Map:
		fields(b, at+"{}", of.Elem())
	case reflect.Struct:
		if of.NumField() == 0 || of.String() == "time.Time" {
			b.WriteString(at + " " + of.String() + "\n")
			return
		}
		for i := range of.NumField() {
			f := of.Field(i)
			name, more, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || name == "-" {
				continue
			}
			if name == "" {
				name = f.Name
			}
			if strings.Contains(more, "omitempty") {
				name += "?"
			}
			fields(b, at+"."+name, f.Type)
		}
	default:
		b.WriteString(at + " " + of.Kind().String() + "\n")
	}
}
