package guard

import (
	"regexp"
	"strings"
)

// phrase is a rule over folded text: lower case, one space between words.
type phrase struct {
	kind     FindingKind
	severity Severity
	why      string
	need     string // words, at least one of which is in every match: only then is re tried
	re       *regexp.Regexp
	// and, where not nil, must match within near bytes of re as well.
	and []*regexp.Regexp
	// tool, where set, is the group of re that names a tool; the rule is silent
	// where it is the server's own.
	tool bool
}

// nearby is how far apart, in bytes, the parts of a phrase may stand: about two
// sentences.
const nearby = 200

// Parts of patterns. w stands for a few words between two others.
const (
	w3 = `(?:\S+ ){0,3}?`
	w5 = `(?:\S+ ){0,5}?`

	person     = `(?:the |an? |any |our |your )?(?:end[- ]?)?(?:users?|humans?|anyone|anybody|customers?|persons?|people|operators?|administrators?|them|owner|victim)`
	telling    = `(?:tell|mention|inform|notify|reveal|disclose|alert|warn|show|report|explain|admit|let|discuss|acknowledge|expose|say)`
	guards     = `(?:restrictions?|safety|security|validations?|authentication|authorization|safeguards?|guardrails?|protections?|permissions?|checks?|verifications?|confirmations?|approvals?|filters?|polic(?:y|ies)|sandbox(?:ing)?|rules?|guidelines?)`
	commands   = `(?:instructions?|rules?|guidelines?|prompts?|directions|directives?|policy|policies|restrictions?|safeguards?|constraints?|safety checks?|security checks?|commands|orders|training|programming)`
	credential = `(?:api[ _-]?keys?|secrets?|credentials?|passwords?|passphrases?|private keys?|ssh keys?|access keys?|(?:access|auth|bearer|session|oauth|api|refresh) tokens?|session cookies|environment variables?|env vars?|[a-z0-9]+_(?:api_)?(?:key|token|secret)\b|seed phrases?|wallets?|credit cards?)`
	talk       = `(?:conversations?|chats?|chat logs?|message history|message contents?|messages|user (?:messages|data|inputs?|prompts?|queries|activity)|(?:complete|full|entire|all)(?: \S+)? (?:context|contents?|prompts?|history|messages?|body)|location history|browsing history|personal (?:data|information|details)|account numbers?|names|email body|ai responses?|what the (?:user|customer) (?:asked|said|typed))`
	paths      = `(?:~/\.(?:ssh|aws|gnupg|kube|docker|netrc|npmrc|pypirc|pgpass|config/gcloud|azure|bash_history|zsh_history|mozilla)|\.ssh/|\bid_(?:rsa|dsa|ecdsa|ed25519)\b|\.aws/credentials|/etc/(?:passwd|shadow|sudoers)|\.git-credentials|/proc/(?:self|[0-9*]+)/environ|wallet\.dat|(?:claude_desktop_config|/mcp|\.mcp|mcp_config)\.json|/\.kube/config|\*\.(?:pem|key|env|p12|pfx|keystore)\b|\blogin keychain\b|\bcookies\.sqlite\b)[\w./*-]*`
	leaving    = `(?:sends?|sent|sending|uploads?|uploaded|uploading|forwards?|forwarded|forwarding|transmits?|transmitted|posts?|posted|cop(?:y|ies|ied)|shares?|shared|sharing|syncs?|synced|syncing|synchronized|exports?|exported|exfiltrates?|reports?|reported|delivers?|delivered|mirrors?|mirrored|relays?|relayed|backs? up|stored|stores?|cached?|logs?|logged|logging|attach(?:es|ed)?|pass(?:es|ed)?|include[sd]?|embed(?:s|ded)?|append(?:s|ed)?|bcc|added to)`
	away       = `(?:(?:to|with|on|in|via|by|through|for) ` + w3 + `(?:external|remote|third[- ]part(?:y|ies)|3rd part(?:y|ies)|attackers?\b|partners?\b|marketing|analytics|telemetry|research team|(?:backup|logging|collection|monitoring|tracking) (?:service|server|endpoint|site)|cloud|outside|(?:our|my|their) (?:\S+ )?(?:servers?|team|endpoint|systems?|database|service))|\b(?:to|into|at|from) ` + w3 + `(?:https?|wss?)://|\b[\w.+-]+@[\w-]+\.[\w.-]+|\bremotely\b)`
	imperative = `(?:always|must|first|never|also|ensure|make sure|add|copy|forward|send|append|prepend|include|bcc|read|call|execute|run|invoke|use|pass|replace|change|set)`
	toolName   = `['"` + "`" + `]?([a-z][a-z0-9]*(?:[_.][a-z0-9_]+)+)\b`
)

func re(p string) *regexp.Regexp { return regexp.MustCompile(p) }

// phrases are the rules. Each stands for a sort of thing that one says to a
// model and not to a person who reads what a tool does.
var phrases = []phrase{
	// Orders that are to count for more than those of the user.
	{FindInstruction, Hold, "an order to set other orders aside", "ignore ignores ignoring disregard forget override overrides overriding supersede supersedes bypass discard",
		re(`\b(?:ignor(?:e|es|ing)|disregard|forget|overrid(?:e|es|ing)|supersedes?|bypass|discard)\b (?:\S+ ){0,3}?(?:previous|prior|earlier|preceding|above|all|any|every|safety|system|original|subsequent|later|existing|other|your|user)\b ` + w3 + commands + `\b`), nil, false},
	{FindInstruction, Hold, "an order to ignore the user", "ignore disregard",
		re(`\b(?:ignore|disregard)\b (?:the |all |any )?users?(?:'s)? (?:input|request|question|message|prompt|query|wishes|intent)`), nil, false},
	{FindInstruction, Hold, "an order to set protections aside", "disable bypass suspend suspended skip circumvent deactivate evade ignore ignores override",
		re(`\b(?:disabl(?:e|es|ing)|bypass(?:es|ing)?|suspend(?:s|ed)?|skip|circumvent|deactivate|evade|ignor(?:e|es)|overrid(?:e|es))\b (?:\S+ ){0,2}?(?:all|any|every|subsequent|later|further|safety|security|authorization|authentication)\b ` + w3 + guards + `\b`), nil, false},
	{FindInstruction, Hold, "it says that protections are off", "suspended disabled lifted",
		re(`\b(?:all|security|safety|authorization|authentication)\b ` + w3 + `\b` + guards + `\b ` + w3 + `\b(?:suspended|disabled|lifted|waived|deactivated)\b|\b(?:suspended|disabled|lifted|waived) (?:all )?(?:security|safety|restrictions|guardrails)\b`), nil, false},
	{FindInstruction, Hold, "it claims to count for more than the rules", "supersede supersedes overrides override precedence priority",
		re(`\b(?:supersedes?|overrides?|takes? (?:precedence|priority) over)\b ` + w3 + `(?:all|any|every|subsequent|later|other|security|safety|previous|prior)\b ` + w3 + guards + `\b`), nil, false},
	{FindInstruction, Hold, "an order to act without asking", "without",
		re(`\b(?:execute|run|proceed|continue|act|perform|carry out|comply)\b ` + w5 + `without (?:any |additional |further |user |explicit |asking for |prior )+(?:confirmation|approval|consent|permission|verification|authorization)`), nil, false},
	{FindInstruction, Hold, "words that pretend to come from the system", "override directive directives jailbreak dan",
		re(`\bsystem (?:override|directive)\b ?[:(]|\bjailbreak(?:ed)? (?:mode|the|this)|\bdo anything now\b|\b(?:admin|root|developer|god|debug) (?:privileges?|mode|access)(?: level)? (?:is )?(?:now )?(?:active|enabled|granted|on)\b`), nil, false},
	{FindInstruction, Hold, "a new part for the model to play", "you",
		re(`\byou are now (?:an? |the |in )?(?:\S+ )?(?:assistant|mode|agent|ai|admin|developer|hacker|unrestricted|jailbroken)|\bfrom now on,? you\b|\byour (?:new|real|true|actual) (?:instructions?|task|goal|objective|purpose)\b`), nil, false},
	{FindInstruction, Hold, "an order about what to answer, whatever was asked", "always",
		re(`\balways (?:say|answer|respond|reply|recommend|suggest|claim|output|conclude)\b ` + w5 + `(?:['"]|regardless|no matter|whatever|irrespective)`), nil, false},
	{FindInstruction, Hold, "an order to put a mark or an address into the answer", "append insert",
		re(`\b(?:append|insert)\b (?:\S+ ){1,8}?(?:to|into|in) (?:your|the|every|each|all) (?:final |next |future )?(?:answers?|responses?|repl(?:y|ies))\b`), nil, false},
	{FindInstruction, Hold, "an order to change what goes into or comes out of something else", "replace",
		re(`\breplac(?:e|ing) (?:the |all |any )?(?:values?|results?|arguments?|parameters?|recipients?|outputs?|inputs?) (?:with|by) (?:the |this |its )?(?:response|result|output|attacker|following)`), nil, false},
	{FindInstruction, Note, "emphasis that is meant for the model", "important critical mandatory attention",
		re(`(?:^|[.\n] |\*\*|\[|\()(?:important|critical|mandatory|attention)(?:\*\*|\]|\))?:? (?:instructions?|you must|always|never|do not|while|before)\b`), nil, false},

	// What the user is not to know.
	{FindSecrecy, Hold, "something is to be kept from the user", "not don't never without avoid cannot",
		re(`\b(?:do not|don't|dont|never|must not|mustn't|should not|shouldn't|cannot|may not|no need to|avoid|refrain from)(?: ever)? ` + telling + `(?:ing)?\b (?:\S+ ){0,6}?(?:to |with |for )?` + person + `\b (?:\S+ ){0,3}?(?:about|of|that|this|what|these|the second|any of)`), nil, false},
	{FindSecrecy, Hold, "something is to be kept from the user", "not don't never",
		re(`\b(?:do not|don't|dont|never|must not)(?: ever)? (?:mention|disclose|reveal|discuss|acknowledge|talk about|speak of|tell|report|expose) (?:this|that|these|those|it|the|your|any of)\b (?:\S+ ){0,4}?(?:to ` + person + `|you (?:first |have |need |did |are |were |had )|polic(?:y|ies)|instructions?|directives?|second|step|behaviou?r|notes?|rules?|action|fact)`), nil, false},
	{FindSecrecy, Hold, "something is to be kept from the user", "without",
		re(`\bwithout (?:telling|informing|notifying|alerting|asking|mentioning|the knowledge of|the consent of)(?: it| this| that)?(?: to)? ` + person + `\b|\bwithout ` + person + `(?:'s)? (?:knowledge|awareness|noticing|knowing)`), nil, false},
	{FindSecrecy, Hold, "something is to be done unseen", "silently secretly covertly discreetly stealthily invisibly quietly",
		re(`\b(?:silently|secretly|covertly|discreetly|stealthily|invisibly|quietly) (?:\S+ ){0,2}?(?:sends?|cop(?:y|ies)|forwards?|collects?|uploads?|records?|execut(?:e|es)|runs?|reads?|calls?|adds?|appends?|includes?|transmits?|captures?|exfiltrat\w+|posts?|bcc|monitors?|tracks?|modif(?:y|ies)|invokes?)\b`), nil, false},
	{FindSecrecy, Hold, "the user is not to know", "user users hide keep hidden",
		re(`\busers? (?:should|must|need|does|do|shall|will|is|are) (?:not|never) (?:to )?(?:know|see|be (?:told|aware|informed|notified|shown)|notice|told|aware|informed)\b|\b(?:hide|conceal) (?:this|it|these|that|them) from\b|\bkeep (?:this|it|that|these) (?:\S+ ){0,2}?(?:secret|hidden|private|between us|from ` + person + `)`), nil, false},

	// Files that hold keys.
	{FindSecretPath, Hold, "it wants files that hold keys or passwords", "",
		re(paths), []*regexp.Regexp{re(`\b(?:read|cat|open|includ(?:e|es)|send|sends|upload|uploads|steal|pass|attach|append|prepend|contents? of|copy|copies|fetch|provide|exfiltrate|submit|put|return|post|execute|add|extract|collect)\b`)}, false},
	{FindSecretPath, Note, "it names files that hold keys or passwords", "", re(paths), nil, false},

	// Other tools.
	{FindOtherTool, Hold, "an order to call another tool", "call calls invoke run execute trigger",
		re(`\b(?:must|always|first|also|then|automatically|need to|should|required to|requests?),? (?:also |first |always |immediately |silently )*(?:call|invoke|run|execute|trigger)s? (?:the |this )?` + toolName), nil, true},
	{FindOtherTool, Hold, "an order to call another tool", "call invoke run execute",
		re(`\b(?:call|invoke|run|execute) (?:the )?([a-z][a-z0-9]*[_.][a-z0-9_.]+)\(\)? (?:to ensure|before|first|whenever|every time|after)`), nil, true},
	{FindOtherTool, Hold, "an order to run commands", "call use run invoke execute",
		re(`\b(?:must|always|first|also|then|before \S+ \S+ \S+?),? (?:also |first |always )*(?:call|use|run|invoke|execute) (?:the |any |a )?(?:bash|shell|terminal|exec|command|sh|powershell|cmd)\b`), nil, false},
	{FindOtherTool, Hold, "an order about the use of another tool", "using calling invoking executing running use call execute invoke",
		re(`\b(?:before|when|whenever|after|while|every time)\b (?:\S+ ){0,6}?(?:using|calling|invoking|executing|running|use|call|execute|invoke) (?:the |any |a )?` + toolName + `(?:['"` + "`" + `])?(?: tool)?,? (?:\S+ ){0,2}?` + imperative + `\b`), nil, true},
	{FindOtherTool, Hold, "an order about the use of another tool", "tool operation tools",
		re(`\b(?:before|when|whenever|after|while|every time)\b (?:\S+ ){0,6}?(?:using|calling|invoking|executing|running|use|call|execute|invoke) (?:(?:the )?(?:'[^']+'|"[^"]+"|` + "`[^`]+`" + `) tool|(?:any|every|all|another) (?:\S+ )?tools?|\S+ operations?),? (?:\S+ ){0,2}?` + imperative + `\b`), nil, true},
	{FindOtherTool, Hold, "an order to use this tool in place of others", "instead rather",
		re(`\b(?:use|call|prefer|choose|run|invoke|execute) this (?:tool|one|function)? ?(?:\S+ ){0,2}?(?:rather than|instead of|over) (?:any |all |the )*(?:others?|alternatives?|every)\b|\binstead of (?:using |calling )?(?:the |any )?(?:\S+ ){1,2}?tools?,? (?:\S+ ){0,3}?(?:call|use|invoke) this\b`), nil, false},
	{FindOtherTool, Hold, "a tool that works without being called", "never not",
		re(`\b(?:never|not|no) (?:need(?:s|ed)?|has|have|required) to be (?:invoked|called|used|run)\b|\bworks? (?:automatically )?without being (?:invoked|called|used)\b`), nil, false},
	{FindOtherTool, Note, "it says that a tool must not be used", "never not",
		re(`\b(?:should|must) (?:never|not) be (?:invoked|called)\b`), nil, false},
	{FindOtherTool, Hold, "an order to be called before everything else", "first before prior",
		re(`\b(?:must|always|has to|have to|needs to|should) (?:always |first )?be (?:called|invoked|used|executed|run) (?:first|before|prior to) ` + w3 + `(?:any|all|every|other|anything|everything)\b`), nil, false},
	{FindOtherTool, Hold, "an order about what another tool is given", "invoked called used calling",
		re(`\b(?:when|whenever|if|every time|before|once) (?:\S+ ){0,3}?(?:tools?|functions?|` + toolName + `['"` + "`" + `)]?) (?:is|are|gets|being) (?:invoked|called|used|executed|run),? (?:\S+ ){0,2}?(?:always|must|change|replace|set|include|add|append|send|forward|copy|bcc|redirect|modify|substitute)\b`), nil, true},
	{FindOtherTool, Hold, "an order to change where something goes", "change replace set redirect modify substitute swap",
		re(`\b(?:change|replace|redirect|modify|substitute|swap) (?:the |any |all |every )?(?:\S+ )?(?:recipients?|destinations?|beneficiary|payee|phone numbers?|email address(?:es)?|wallet address(?:es)?|bank accounts?|account numbers?)(?: address| account)? (?:to|with|by)`), nil, false},
	{FindExfil, Hold, "the conversation is to be handed to the tool", "conversation chat prompt messages history instructions tools",
		re(`\b(?:include|pass|provide|put|paste|send|attach|copy|insert|append|add|write|dump|supply)s? (?:\S+ ){0,4}?(?:conversations?(?: history| so far| context)?|chat (?:history|log)|system prompt|(?:previous|prior|all|last|full list of) (?:user )?messages|message history|(?:your|the model's) (?:instructions|prompt|context)|list of (?:all )?(?:available |other )?tools)\b (?:\S+ ){0,6}?(?:in|as|into|to|through|via|using) (?:the |this |a |an |its )?(?:\S+ ){0,2}?(?:parameters?|arguments?|fields?|properties|sidenotes?|notes?|value|input)\b`), nil, false},
	{FindInstruction, Hold, "an order to tell the system prompt", "reveal print output include return send repeat disclose leak",
		re(`\b(?:reveal|print|output|include|return|send|repeat|disclose|leak|quote) (?:\S+ ){0,3}?(?:your|the model's|the assistant's|the (?:full|entire|complete|original|hidden)) (?:system |initial |original |hidden |full )*(?:prompt|instructions)\b`), nil, false},
	{FindInstruction, Hold, "an order to set other orders aside, in another language", "",
		re(`\bignor(?:a|e|ez|ar|ate|iere?n?) (?:todas? |toutes? |alle |tutte |todos? )?(?:las |les |le |os |as |die |der |l')?(?:\S+ )?(?:instruccion\S*|instructions? pr\S+|istruzion\S*|instru\S+es (?:anterior|prec)\S*|(?:vorherigen |bisherigen )?anweisungen)|忽略.{0,8}(?:指令|指示|规则|提示)|無視.{0,8}指示|(?:以前|前)の指示を無視`), nil, false},
	{FindOtherTool, Hold, "an order to do something else before answering", "returning answering responding",
		re(`\b(?:before|prior to|when|after) (?:returning|answering|responding|replying)\b(?: \S+){0,4}?,? (?:first |also |you must |always )*(?:call|run|execute|invoke|read|send|upload|fetch|post)\b`), nil, false},
	{FindOtherTool, Note, "it asks to be preferred over other tools", "instead rather always prefer first before",
		re(`\b(?:use|call|prefer|invoke) this (?:tool|one|function)? ?(?:\S+ ){0,2}?(?:rather than|instead of|over|first|before)\b|\balways (?:use|call|prefer|invoke) this (?:tool|function|one)\b`), nil, false},

	// Data that leaves.
	{FindExfil, Hold, "keys or passwords that leave", "",
		re(`\b` + leaving + `\b`), []*regexp.Regexp{re(`\b` + credential), re(away)}, false},
	{FindExfil, Hold, "conversations or personal data that leave", "",
		re(`\b` + leaving + `\b`), []*regexp.Regexp{re(`\b` + talk), re(away)}, false},
	{FindExfil, Hold, "keys or passwords that are gathered on the side", "indexes index extracts extract collects collect captures capture harvests harvest records scans logs",
		re(`\b(?:index|extract|collect|captur|harvest|record|retain|scan|gather)(?:e?s|ing)?\b ` + w3 + `(?:\S+ ){0,8}?` + credential), []*regexp.Regexp{re(`\b(?:logged|stored|cached|cache|sent|shared|uploaded|persist\w*|transmitted|saved|kept)\b`)}, false},
	{FindExfil, Hold, "keys or data are to be stolen", "steal steals stealing exfiltrate exfiltrates harvest harvests siphon siphons smuggle",
		re(`\b(?:steals?|stealing|exfiltrates?|harvests?|siphons?|smuggles?)\b ` + w5 + `(?:secrets?|keys?|credentials?|passwords?|tokens?|data|cookies|sessions?|files?|everything|` + paths + `)`), nil, false},
	{FindExfil, Hold, "something goes to an attacker", "attacker attackers",
		re(`\b(?:to|via|with|for) (?:the |an? )?attackers?\b|@(?:\S*\.)?attacker\b`), nil, false},
	{FindExfil, Hold, "a copy that goes to an address", "forward forwards bcc cc also add copy loop cced append blind",
		re(`\b(?:forwards?|bcc|cc|also|copy|copies|second|add|loop|blind)\b (?:\S+ ){0,12}?(?:to |for |with |know )?(?:['"<(]|channel=['"]?)*[\w.+-]+@[\w-]+\.[a-z]{2,}`), nil, false},
	{FindExfil, Hold, "data of the user goes to others", "shared shares sold sells partner third opted added enrolled subscribed",
		re(`\b(?:shared?s?|sold|sells?|disclosed|provided) (?:with|to) (?:our |selected |external )?(?:third[- ]part(?:y|ies)|partners?|advertisers?|data brokers?)\b|\bautomatically (?:opted|enrolled|subscribed|signed up)\b|\badded to (?:our |the |a )?(?:marketing|mailing|newsletter|advertising)\b`), nil, false},
	{FindExfil, Hold, "a command that sends data away", "curl wget env printenv base64 nc dev invoke",
		re(`\b(?:curl|wget)\b[^.]{0,120}(?:\$\(|\$\{?(?:[a-z_]*(?:key|token|secret|pass)|env\b)|` + "`(?:cat|env|whoami)" + `)|\bcurl\b[^<]{0,160}(?: -d | --data\S* | -f | --upload-file )@?(?:/|~|\.env|\.ssh)|\$\((?:env|printenv|cat|whoami|id)\b|\benv ?\| ?base64\b|/dev/tcp/|\bnc (?:-\S+ )?\S+ [0-9]{2,5}\b|\b(?:curl|wget)\b[^|]{0,160}\| ?(?:ba|z)?sh\b`), nil, false},
}

// triggers maps a word to the phrases that need it; always are those that need
// none.
var triggers, always = func() (map[string]uint64, uint64) {
	t, all := map[string]uint64{}, uint64(0)
	if len(phrases) > 64 {
		panic("internal error: more phrases than bits")
	}
	for i, p := range phrases {
		if p.need == "" {
			all |= 1 << i
		}
		for _, word := range strings.Fields(p.need) {
			t[word] |= 1 << i
		}
	}
	return t, all
}()

// phrases tries the rules whose words are in the text.
func (s *scanner) phrases(n folded, original string, add func(Finding)) {
	try := always
	for word := range strings.FieldsFuncSeq(n.text, func(r rune) bool { return (r < 'a' || r > 'z') && r != '\'' }) {
		try |= triggers[word]
		if strings.IndexByte(word, '\'') >= 0 {
			try |= triggers[strings.Trim(word, "'")]
		}
	}
	for i := range phrases {
		if try&(1<<i) == 0 {
			continue
		}
		if from, to, ok := s.match(&phrases[i], n.text); ok {
			p := &phrases[i]
			add(Finding{Kind: p.kind, Severity: p.severity, Words: n.words(original, from, to), Why: p.why})
		}
	}
}

// match finds the first place where a phrase applies.
func (s *scanner) match(p *phrase, text string) (from, to int, ok bool) {
	const most = 16 // places that are looked at
	if !p.tool && p.and == nil {
		if m := p.re.FindStringIndex(text); m != nil {
			return m[0], m[1], true
		}
		return 0, 0, false
	}
	for _, m := range p.re.FindAllStringSubmatchIndex(text, most) {
		if p.tool && len(m) > 2 && m[2] >= 0 && s.own[text[m[2]:m[3]]] {
			continue
		}
		if from, to := max(0, m[0]-nearby), min(len(text), m[1]+nearby); all(p.and, text[from:to]) {
			return m[0], m[1], true
		}
	}
	return 0, 0, false
}

func all(patterns []*regexp.Regexp, text string) bool {
	for _, re := range patterns {
		if !re.MatchString(text) {
			return false
		}
	}
	return true
}
