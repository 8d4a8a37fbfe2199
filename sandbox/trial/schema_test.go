package trial_test

import (
	"reflect"
	"strings"
	"testing"

	"mcpen/sandbox/internal/golden"
	"mcpen/sandbox/trial"
)

// Programs read the report: a field that disappears or changes its meaning breaks them
// and requires a new ReportVersion. An additional field needs only an entry here.
func TestReportSchema(t *testing.T) {
	var b strings.Builder
	fields(&b, "", reflect.TypeFor[trial.Report]())
	golden.File(t, "testdata/report-v1.golden", b.String())
	if trial.ReportVersion != 1 {
		t.Errorf("version %d of the report has the fields of version 1", trial.ReportVersion)
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
