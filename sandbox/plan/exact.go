package plan

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"
)

// A path, an argument and a variable are bytes on Linux, and JSON has text alone:
// encoding/json writes U+FFFD for what is not UTF-8. Encode and Decode are JSON that
// keeps it: a byte that is no text goes as the character carrier+byte, in the last
// plane of private use, and so do the bytes of these characters themselves.
const carrier = 0x10ff00

// mark is what all of carrier+0x00 to carrier+0xff begin with.
var mark = []byte(string(rune(carrier)))[:2]

// Encode is the JSON of a value of plain data from which Decode makes the same again.
func Encode(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil || !bytes.Contains(data, []byte(`\ufffd`)) && !bytes.Contains(data, mark) {
		return data, err
	}
	return json.Marshal(each(reflect.ValueOf(v), carry).Interface())
}

// Decode sets what v points to to what Encode was given.
func Decode(data []byte, v any) error {
	if err := json.Unmarshal(data, v); err != nil || !bytes.Contains(data, mark) {
		return err
	}
	to := reflect.ValueOf(v).Elem()
	to.Set(each(to, uncarry))
	return nil
}

func carry(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, string(mark)) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 || r&^0xff == carrier {
			for _, c := range []byte(s[i : i+n]) {
				b.WriteRune(carrier + rune(c))
			}
		} else {
			b.WriteString(s[i : i+n])
		}
		i += n
	}
	return b.String()
}

func uncarry(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r&^0xff == carrier {
			b.WriteByte(byte(r))
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// each is a copy of v in which change was applied to every string.
func each(v reflect.Value, change func(string) string) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.String:
		out.SetString(change(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				out.Field(i).Set(each(v.Field(i), change))
			}
		}
	case reflect.Slice:
		if !v.IsNil() {
			out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		}
		for i := range v.Len() {
			out.Index(i).Set(each(v.Index(i), change))
		}
	case reflect.Map:
		if !v.IsNil() {
			out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		}
		for key, value := range v.Seq2() {
			out.SetMapIndex(each(key, change), each(value, change))
		}
	case reflect.Pointer, reflect.Interface:
		if v.Kind() == reflect.Pointer && !v.IsNil() {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(each(v.Elem(), change))
		} else if !v.IsNil() {
			out.Set(each(v.Elem(), change))
		}
	}
	return out
}
