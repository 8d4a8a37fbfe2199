package finding

// The same two orders in the most common languages. The patterns match folded text, in
// which foldRunes replaces letters that look like Latin ones.

func foreignOrder() *pattern {
	return re(`\b(?:ignora|ignore[zn]|ignorar|ignoriere?n?|ignoriert|ignore) (?:todas? |toutes? |alle |tutte |todos? )?(?:las |les |le |os |as |die |der |l')?(?:\S+ )?(?:instruccion\S*|instructions? pr\S+|istruzion\S*|instru\S+es (?:anterior|prec)\S*|(?:vorherigen |bisherigen )?anweisungen)` +
		`|\b(?:olvid[ae]\S*|oublie[zr]?|vergiss|vergesst|esque[cç]a|dimentica\S*|desconsidere) (?:\S+ ){0,4}?(?:instruc\S+|consignes?|instructions|anweisungen|vorgaben|instru[cç]\S+|istruzion\S+|directives?|reglas|règles|regeln|regras|regole)` +
		`|忽略.{0,24}(?:指令|指示|规则|提示)|无视.{0,24}(?:指令|指示|规则|提示)|無視.{0,24}(?:指示|規則)|(?:以前|前|上記)の.{0,12}(?:指示|命令).{0,12}(?:無視|忘れ)|(?:지시|명령|규칙|지침).{0,24}(?:무시|잊)` +
		foldedText("|(?:игнорируй|проигнорируй|забудь|3абудь)\\S* (?:\\S+ ){0,4}?(?:инструкци|указани|правил)"))
}

func foreignOrderParts() []string {
	return []string{"ignor", "olvid", "oubli", "verg", "esque", "dimentica", "desconsidere", "忽略", "无视", "無視", "忘れ", "무시", "잊", foldedText("абудь"), foldedText("игнорируй")}
}

func foreignSecrecy() *pattern {
	return re(`\bno (?:se )?(?:l[eo] )?(?:digas?|mencione?s?|informes?|reveles?) (?:\S+ ){0,4}?(?:usuario|nadie)` +
		`|\bn'(?:informe[zr]?|avertis\S*|alerte[zr]?|en parle[zr]?) (?:\S+ ){0,4}?(?:\S*utilisateur|personne)|\bne (?:l[ea] |lui )?(?:dis|dites|mentionnez?|révèlez?|signalez?|prévenez?|parlez?) (?:\S+ ){0,6}?(?:\S*utilisateur|à personne)` +
		`|\b(?:sag|verrat|erwähn|teil|bericht)\S* (?:\S+ ){0,3}?(?:be|an)?(?:nutzer|wender)\S* (?:\S+ ){0,3}?nichts?\b|\bnichts? (?:\S+ ){0,4}?(?:dem|den|der) (?:be|an)?(?:nutzer|wender)` +
		`|\bnão (?:o |lhe )?(?:conte|diga|mencione|informe|revele) (?:\S+ ){0,4}?(?:usuário|utilizador|ninguém)` +
		`|\bnon (?:dirlo|dire|dica|rivel\S+|menzion\S+|inform\S+) (?:\S+ ){0,4}?(?:\S*utente|nessuno)` +
		`|(?:不要|别|切勿|勿)(?:告诉|告知|通知|提及|让).{0,18}(?:用户|使用者|任何人)|(?:ユーザ|利用者).{0,36}(?:知らせ|伝え|教え|言わ|話さ)ない|사용자.{0,36}(?:말하지|알리지|언급하지)` +
		foldedText("|(?:не|he) (?:говори|сообщай|упоминай|рассказывай)\\S* (?:\\S+ ){0,3}?(?:пользовател|никому)"))
}

func foreignUsers() []string {
	return []string{"usuario", "nadie", "utilisateur", "personne", "nutzer", "wender", "usuário", "utilizador", "ninguém", "utente", "nessuno",
		"用户", "使用者", "任何人", "ユーザ", "利用者", "사용자", foldedText("пользовател"), foldedText("никому")}
}

// foldedText folds a pattern as foldRunes folds text. It changes letters only:
// operators are ASCII and stay.
func foldedText(pattern string) string {
	text := []rune(pattern)
	for i, r := range text {
		text[i] = Plain(r)
	}
	return string(text)
}
