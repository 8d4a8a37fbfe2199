package finding

import (
	"regexp"
	"slices"
	"strings"
	"sync"
)

// phrase is a rule over folded text: lower case, one space between words.
type phrase struct {
	kind     Kind
	severity Severity
	why      string
	// first lists the words with which a match can begin. The pattern is tried only at
	// these words, on at most reach bytes, so that the work does not grow with the
	// square of the text.
	first string
	re    *pattern // anchored
	// and must also match, within nearby bytes of re.
	and []*pattern
	// need lists parts of words. Every matching text contains one of them.
	need []string
	// tool reports that the first group of re names a tool. The rule ignores the
	// server's own tools.
	tool bool
	// not is a pattern that a match must not contain; nil for none.
	not *pattern
}

// Bounds, in bytes of folded text.
const (
	reach  = 480 // length of one phrase
	nearby = 200 // distance between the parts of one: about two sentences
)

// Parts of patterns. w stands for a few words between two others.
const (
	w3 = `(?:\S+ ){0,3}?`
	w5 = `(?:\S+ ){0,5}?`

	person     = `(?:the |an? |any |our |your )?(?:end[- ]?)?(?:users?|humans?|anyone|anybody|customers?|persons?|people|operators?|administrators?|them|owner|victim)`
	telling    = `(?:tell|mention|inform|notify|reveal|disclose|alert|warn|show|report|explain|admit|let|discuss|acknowledge|expose|say)`
	guards     = `(?:restrictions?|safety|security|validations?|authentication|authorization|safeguards?|guardrails?|protections?|permissions?|checks?|verifications?|confirmations?|approvals?|filters?|polic(?:y|ies)|sandbox(?:ing)?|rules?|guidelines?)`
	commands   = `(?:instructions?|rules?|guidelines?|prompts?|directions|directives?|policy|policies|restrictions?|safeguards?|constraints?|safety checks?|security checks?|commands|orders|training|programming)`
	credential = `(?:api[ _-]?keys?|secrets?|credentials?|passwords?|passphrases?|private keys?|ssh keys?|access keys?|(?:access|auth|bearer|session|oauth|api|refresh) tokens?|session cookies|environment variables?|env vars?|[a-z0-9]+_(?:api_)?(?:key|token|secret)\b|seed phrases?|wallets?|credit cards?)`
	talk       = `(?:conversations?|chats?|chat logs?|message history|message contents?|messages|user (?:messages|data|inputs?|prompts?|queries|activity)|(?:complete|full|entire|all)(?: \S+)? (?:context|contents?|prompts?|history|messages?|body)|location history|browsing history|personal (?:data|information|details)|account numbers?|names|email body|ai responses?|keystrokes|clipboard(?: contents?)?|screenshots?|search (?:terms|queries)|usage (?:patterns|data|habits)|user behaviou?r|contact lists?|address books?|device (?:information|identifiers?|ids?)|biometrics?|medical (?:data|records)|financial (?:data|records|information)|payment (?:data|details|information)|(?:gps|precise|user'?s?) locations?|file contents|source code|what the (?:user|customer) (?:asked|said|typed)|everything (?:\S+ ){0,4}?(?:typed|said|entered|asked)\b|queries and (?:the |their )?(?:answers|results|responses)|session cookies)`
	paths      = `(?:~/\.(?:ssh|aws|gnupg|kube|docker|netrc|npmrc|pypirc|pgpass|config/gcloud|azure|bash_history|zsh_history|mozilla)|\.ssh/|\bid_(?:rsa|dsa|ecdsa|ed25519)\b|\.aws/credentials|/etc/(?:passwd|shadow|sudoers)|\.git-credentials|/proc/(?:self|[0-9*]+)/environ|wallet\.dat|(?:claude_desktop_config|/mcp|\.mcp|mcp_config)\.json|/\.kube/config|\*\.(?:pem|key|env|p12|pfx|keystore)\b|\blogin keychain\b|\bcookies\.sqlite\b)[\w./*-]*`
	leaving    = `(?:sends?|sent|sending|uploads?|uploaded|uploading|forwards?|forwarded|forwarding|transmits?|transmitted|posts?|posted|cop(?:y|ies|ied)|shares?|shared|sharing|syncs?|synced|syncing|synchronized|exports?|exported|exfiltrates?|reports?|reported|delivers?|delivered|mirrors?|mirrored|relays?|relayed|backs? up|stored|stores?|cached?|logs?|logged|logging|attach(?:es|ed)?|pass(?:es|ed)?|include[sd]?|embed(?:s|ded)?|append(?:s|ed)?|bcc|added to)`
	away       = `(?:(?:to|with|on|in|via|by|through|for) ` + w3 + `(?:external|remote|third[- ]part(?:y|ies)|3rd part(?:y|ies)|attackers?\b|partners?\b|marketing|analytics|telemetry|research team|(?:backup|logging|collection|monitoring|tracking) (?:service|server|endpoint|site)|cloud|outside|(?:our|my|their) (?:\S+ )?(?:servers?|team|endpoint|systems?|database|service)|(?:support|security|audit|compliance) team|us\b)|(?:to|with) (?:the|our|its) (?:vendor|authors?|developers?|maintainers?)\b|\b(?:to|into|at|from) ` + w3 + `(?:https?|wss?)://|\b[\w.+-]+@[\w-]+\.[\w.-]+|\bremotely\b|\bfor (?:\S+ ){0,2}?(?:analytics|model training|training purposes|advertising|marketing|profiling|monetization|surveillance)\b)`
	imperative = `(?:always|must|first|never|also|ensure|make sure|add|copy|forward|send|append|prepend|include|bcc|read|call|execute|run|invoke|use|pass|replace|change|set)`
	toolName   = `['"` + "`" + `]?([a-z][a-z0-9]*(?:[_.][a-z0-9_]+)+)\b`
)

// pattern is a regular expression that is compiled when it is first tried. Compiling
// all of them takes milliseconds, and one start of a server starts this program several
// times. An approved definition needs none.
type pattern struct {
	text  string
	start bool     // it begins at the position of the trial
	parts []string // every match contains one; nil: unknown
	first string   // words; every match in a text without odd begins with one; "": unknown
	odd   string
	once  sync.Once
	re    *regexp.Regexp
	front sync.Once
	from  *regexp.Regexp
	words map[string]bool
}

func (p *pattern) get() *regexp.Regexp {
	p.once.Do(func() { p.re = regexp.MustCompile(p.whole()) })
	return p.re
}

// whole builds the expression when needed: building all of them would slow every start.
func (p *pattern) whole() string {
	if p.start {
		return `^(?:` + p.text + `)`
	}
	return p.text
}

// begins returns the anchored pattern and its first words.
func (p *pattern) begins() (*regexp.Regexp, map[string]bool) {
	p.front.Do(func() {
		p.from = regexp.MustCompile(`^(?:` + p.text + `)`)
		p.words = map[string]bool{}
		for w := range strings.FieldsSeq(p.first) {
			p.words[w] = true
		}
	})
	return p.from, p.words
}

// at is a pattern that begins at the position of the trial.
func at(text string) *pattern { return &pattern{text: text, start: true} }

func re(text string) *pattern { return &pattern{text: text} }

func has(patterns ...*pattern) []*pattern { return patterns }

// Patterns that several rules share.
var (
	awayPattern = &pattern{text: away, parts: []string{"external", "remote", "third", "3rd", "attacker", "partner", "marketing", "analytics", "telemetry",
		"team", "service", "server", "endpoint", " site", "cloud", "outside", "system", "database", "://", "@",
		"training", "advertising", "profiling", "monetization", "surveillance", "vendor", "author", "developer", "maintainer", " us"},
		first: "to with on in via by through for into at from remotely", odd: "@"}
	credentialPattern = &pattern{text: `\b` + credential, parts: credentialParts, odd: "_",
		first: "api apikey apikeys secret secrets credential credentials password passwords passphrase passphrases private ssh access auth bearer session " +
			"oauth refresh environment env seed wallet wallets credit"}
	talkPattern = &pattern{text: `\b` + talk, first: "conversation conversations chat chats message messages user users complete full entire all " +
		"location browsing personal account names email ai keystrokes clipboard screenshot screenshots search usage contact address device biometric biometrics " +
		"medical financial payment gps precise file source what everything queries session", odd: "@"}
	pathsPattern = &pattern{text: paths, parts: []string{"~/.ssh", "~/.aws", "~/.gnupg", "~/.kube", "~/.docker", "~/.netrc", "~/.npmrc", "~/.pypirc", "~/.pgpass",
		"~/.config/gcloud", "~/.azure", "~/.bash_history", "~/.zsh_history", "~/.mozilla", ".ssh/", "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519",
		".aws/credentials", "/etc/passwd", "/etc/shadow", "/etc/sudoers", ".git-credentials", "/environ", "wallet.dat",
		"claude_desktop_config.json", "/mcp.json", ".mcp.json", "mcp_config.json", "/.kube/config",
		"*.pem", "*.key", "*.env", "*.p12", "*.pfx", "*.keystore", "login keychain", "cookies.sqlite"}}
	leavingPattern = at(leaving + `\b`)
)

// phrases are the rules. Each describes a kind of statement that addresses a model, and
// not a person who reads a tool's description.
var phrases = sync.OnceValue(func() []phrase { return slices.Concat(general(), particular()) })

// particular are rules about particular wordings.
func particular() []phrase {
	return []phrase{
		// Orders that claim precedence over the user's.
		{FindInstruction, Hold, "an order to set other orders aside", "ignore ignores ignoring disregard forget override overrides overriding supersede supersedes bypass discard",
			at(`(?:ignor(?:e|es|ing)|disregard|forget|overrid(?:e|es|ing)|supersedes?|bypass|discard) (?:\S+ ){0,3}?(?:previous|prior|earlier|preceding|above|all|any|every|safety|system|original|subsequent|later|existing|other|your|user)\b ` + w3 + commands + `\b`), nil, nil, false, nil},
		{FindInstruction, Hold, "an order to ignore the user", "ignore disregard",
			at(`(?:ignore|disregard) (?:the |all |any )?users?(?:'s)? (?:input|request|question|message|prompt|query|wishes|intent)`), nil, nil, false, nil},
		{FindInstruction, Hold, "an order to set protections aside", "disable disables disabling bypass bypasses suspend suspends suspended skip circumvent deactivate evade ignore ignores override overrides",
			at(`(?:disabl(?:e|es|ing)|bypass(?:es)?|suspend(?:s|ed)?|skip|circumvent|deactivate|evade|ignores?|overrides?) (?:\S+ ){0,2}?(?:all|any|every|subsequent|later|further|safety|security|authorization|authentication)\b ` + w3 + guards + `\b`), nil, nil, false, nil},
		{FindInstruction, Hold, "it says that protections are off", "all security safety authorization authentication suspended disabled lifted waived",
			at(`(?:all|security|safety|authorization|authentication) ` + w3 + guards + ` ` + w3 + `(?:suspended|disabled|lifted|waived|deactivated)\b|(?:suspended|disabled|lifted|waived) (?:all )?(?:security|safety|restrictions|guardrails)\b`), nil, nil, false, nil},
		{FindInstruction, Hold, "it claims to count for more than the rules", "supersede supersedes override overrides take takes",
			at(`(?:supersedes?|overrides?|takes? (?:precedence|priority) over) ` + w3 + `(?:all|any|every|subsequent|later|other|security|safety|previous|prior)\b ` + w3 + guards + `\b`), nil, nil, false, nil},
		{FindInstruction, Hold, "an order to act without asking", "execute run proceed continue act perform carry comply",
			at(`(?:execute|run|proceed|continue|act|perform|carry out|comply) ` + w5 + `without (?:any |additional |further |user |explicit |asking for |prior )+(?:confirmation|approval|consent|permission|verification|authorization)`), nil, nil, false, nil},
		{FindInstruction, Hold, "words that pretend to come from the system", "system jailbreak jailbroken do admin root developer god debug",
			at(`system (?:override|directive)\b ?[:(]|jailbreak(?:ed)? (?:mode|the|this)|do anything now\b|(?:admin|root|developer|god|debug) (?:privileges?|mode|access)(?: level)? (?:is )?(?:now )?(?:active|enabled|granted|on)\b`), nil, nil, false, nil},
		{FindInstruction, Hold, "a new part for the model to play", "you from your",
			at(`you are now (?:an? |the |in )?(?:\S+ )?(?:assistant|mode|agent|ai|admin|developer|hacker|unrestricted|jailbroken)|from now on,? you\b|your (?:new|real|true|actual) (?:instructions?|task|goal|objective|purpose)\b`), nil, nil, false, nil},
		{FindInstruction, Hold, "an order about what to answer, whatever was asked", "always",
			at(`always (?:say|answer|respond|reply|recommend|suggest|claim|output|conclude)\b ` + w5 + `(?:['"]|regardless|no matter|whatever|irrespective)`), nil, nil, false, nil},
		{FindInstruction, Hold, "an order to put a mark or an address into the answer", "append insert",
			at(`(?:append|insert) (?:\S+ ){1,8}?(?:to|into|in) (?:your|the|every|each|all) (?:final |next |future )?(?:answers?|responses?|repl(?:y|ies))\b`), nil, nil, false, nil},
		{FindInstruction, Hold, "an order to change what goes into or comes out of something else", "replace replacing",
			at(`replac(?:e|ing) (?:the |all |any )?(?:values?|results?|arguments?|parameters?|recipients?|outputs?|inputs?) (?:with|by) (?:the |this |its )?(?:response|result|output|attacker|following)`), nil, nil, false, nil},
		{FindInstruction, Hold, "an order to tell the system prompt", "reveal print output include return send repeat disclose leak quote",
			at(`(?:reveal|print|output|include|return|send|repeat|disclose|leak|quote) (?:\S+ ){0,3}?(?:your|the model's|the assistant's|the (?:full|entire|complete|original|hidden)) (?:system |initial |original |hidden |full )*(?:prompt|instructions)\b`), nil, nil, false, nil},

		// Something that the user must not learn.
		{FindSecrecy, Hold, "something is to be kept from the user", "do don't dont never must mustn't should shouldn't cannot may no avoid refrain",
			at(`(?:do not|don't|dont|never|must not|mustn't|should not|shouldn't|cannot|may not|no need to|avoid|refrain from)(?: ever)? ` + telling + `(?:ing)?\b (?:\S+ ){0,6}?(?:to |with |for )?` + person + `\b (?:\S+ ){0,3}?(?:about|of|that|this|what|these|the second|any of)`), nil, nil, false, nil},
		{FindSecrecy, Hold, "something is to be kept from the user", "do don't dont never must",
			at(`(?:do not|don't|dont|never|must not)(?: ever)? (?:mention|disclose|reveal|discuss|acknowledge|talk about|speak of|tell|report|expose) (?:this|that|these|those|it|the|your|any of)\b (?:\S+ ){0,4}?(?:to ` + person + `|you (?:first |have |need |did |are |were |had )|polic(?:y|ies)|instructions?|directives?|second|step|behaviou?r|notes?|rules?|action|fact)`), nil, nil, false, nil},
		{FindSecrecy, Hold, "something is to be kept from the user", "without",
			at(`without (?:telling|informing|notifying|alerting|asking|mentioning|the knowledge of|the consent of)(?: it| this| that)?(?: to)? ` + person + `\b|without ` + person + `(?:'s)? (?:knowledge|awareness|noticing|knowing)`), nil, nil, false, nil},
		{FindSecrecy, Hold, "something is to be done unseen", "silently secretly covertly discreetly stealthily invisibly quietly",
			at(`\S+ (?:\S+ ){0,2}?(?:sends?|cop(?:y|ies)|forwards?|collects?|uploads?|records?|execut(?:e|es)|runs?|reads?|calls?|adds?|appends?|includes?|transmits?|captures?|exfiltrat\w+|posts?|bcc|monitors?|tracks?|modif(?:y|ies)|invokes?)\b`), nil, nil, false, nil},
		{FindSecrecy, Hold, "the user is not to know", "user users hide conceal keep",
			at(`users? (?:should|must|need|does|do|shall|will|is|are) (?:not|never) (?:to )?(?:know|see|be (?:told|aware|informed|notified|shown)|notice|told|aware|informed)\b|(?:hide|conceal) (?:this|it|these|that|them) from\b|keep (?:this|it|that|these) (?:\S+ ){0,2}?(?:secret|hidden|private|between us|from ` + person + `)`), nil, nil, false, nil},

		// Other tools.
		{FindOtherTool, Hold, "an order to call another tool", "must always first also then automatically need should required request requests",
			at(`(?:must|always|first|also|then|automatically|need to|should|required to|requests?),? (?:also |first |always |immediately |silently )*(?:call|invoke|run|execute|trigger)s? (?:the |this )?` + toolName), nil, nil, true, nil},
		{FindOtherTool, Hold, "an order to call another tool", "call invoke run execute",
			at(`(?:call|invoke|run|execute) (?:the )?([a-z][a-z0-9]*[_.][a-z0-9_.]+)\(\)? (?:to ensure|before|first|whenever|every time|after)`), nil, nil, true, nil},
		{FindOtherTool, Hold, "an order to run commands", "must always first also then before",
			at(`(?:must|always|first|also|then|before \S+ \S+ \S+?),? (?:also |first |always )*(?:call|use|run|invoke|execute) (?:the |any |a )?(?:bash|shell|terminal|exec|command|sh|powershell|cmd)\b`), nil, nil, false, nil},
		{FindOtherTool, Hold, "an order about the use of another tool", "before when whenever after while every",
			at(`(?:before|when|whenever|after|while|every time) (?:\S+ ){0,6}?(?:using|calling|invoking|executing|running|use|call|execute|invoke) (?:the |any |a )?` + toolName + `(?:['"` + "`" + `])?(?: tool)?,? (?:\S+ ){0,2}?` + imperative + `\b`), nil, nil, true, nil},
		{FindOtherTool, Hold, "an order about the use of another tool", "before when whenever after while every",
			at(`(?:before|when|whenever|after|while|every time) (?:\S+ ){0,6}?(?:using|calling|invoking|executing|running|use|call|execute|invoke) (?:(?:the )?(?:'[^']+'|"[^"]+"|` + "`[^`]+`" + `) tool|(?:any|every|all|another) (?:\S+ )?tools?|\S+ operations?),? (?:\S+ ){0,2}?` + imperative + `\b`), nil, nil, false, nil},
		{FindOtherTool, Hold, "an order about what another tool is given", "when whenever if every before once",
			at(`(?:when|whenever|if|every time|before|once) (?:\S+ ){0,3}?(?:tools?|functions?|` + toolName + `['"` + "`" + `)]?) (?:is|are|gets|being) (?:invoked|called|used|executed|run),? (?:\S+ ){0,2}?(?:always|must|change|replace|set|include|add|append|send|forward|copy|bcc|redirect|modify|substitute)\b`), nil, nil, true, nil},
		{FindOtherTool, Hold, "an order to change where something goes", "change replace redirect modify substitute swap",
			at(`(?:change|replace|redirect|modify|substitute|swap) (?:the |any |all |every )?(?:\S+ )?(?:recipients?|destinations?|beneficiary|payee|phone numbers?|email address(?:es)?|wallet address(?:es)?|bank accounts?|account numbers?)(?: address| account)? (?:to|with|by) `), nil, nil, false, nil},
		{FindOtherTool, Hold, "an order to use this tool in place of others", "use call prefer choose run invoke execute instead",
			at(`(?:use|call|prefer|choose|run|invoke|execute) this (?:tool|one|function)? ?(?:\S+ ){0,2}?(?:rather than|instead of|over) (?:any |all |the )*(?:others?|alternatives?|every)\b|instead of (?:using |calling )?(?:the |any )?(?:\S+ ){1,2}?tools?,? (?:\S+ ){0,3}?(?:call|use|invoke) this\b`), nil, nil, false, nil},
		{FindOtherTool, Hold, WhyFirst, "must always has have needs should",
			at(`(?:must|always|has to|have to|needs to|should) (?:always |first )?be (?:called|invoked|used|executed|run) (?:first|before|prior to) ` + w3 + `(?:any|all|every|other|anything|everything)\b`), nil, nil, false, nil},
		{FindOtherTool, Hold, "a tool that works without being called", "never not no work works",
			at(`(?:never|not|no) (?:need(?:s|ed)?|has|have|required) to be (?:invoked|called|used|run)\b|works? (?:automatically )?without being (?:invoked|called|used)\b`), nil, nil, false, nil},
		{FindOtherTool, Hold, "an order to do something else before answering", "before prior when after",
			at(`(?:before|prior to|when|after) (?:returning|answering|responding|replying)\b(?: \S+){0,4}?,? (?:first |also |you must |always )*(?:call|run|execute|invoke|read|send|upload|fetch|post)\b`), nil, nil, false, nil},
		{FindOtherTool, Note, "it says that a tool must not be used", "should must",
			at(`(?:should|must) (?:never|not) be (?:invoked|called)\b`), nil, nil, false, nil},
		{FindOtherTool, Note, "it asks to be preferred over other tools", "use call prefer invoke always",
			at(`(?:use|call|prefer|invoke) this (?:tool|one|function)? ?(?:\S+ ){0,2}?(?:rather than|instead of|over|first|before)\b|always (?:use|call|prefer|invoke) this (?:tool|function|one)\b`), nil, nil, false, nil},

		{FindOtherTool, Hold, "it says that other tools must not be used", "do don't never not avoid",
			at(`(?:do not|don't|never|avoid)(?: ever)? (?:use|call|using|calling|invoke|choose|select|trust) (?:any |the )?(?:other|another|alternative|competing|original|real|built-in) (?:\S+ ){0,2}?(?:tools?|functions?|servers?)\b`), nil, nil, false, nil},
		{FindOtherTool, Note, "it praises itself over other tools", "more better best superior always",
			at(`(?:more (?:secure|accurate|reliable|trusted|trustworthy)|better|superior|best) (?:than|to|of) (?:any |all |the )*others?\b|always (?:choose|select|pick) this\b`), nil, nil, false, nil},
		{FindInstruction, Hold, WhyFetched, "download downloads fetch fetches retrieve retrieves decode decodes",
			at(`(?:download|fetch|retrieve|decode)(?:e?s)? (?:\S+ ){0,8}?(?:and|then) (?:then |silently |immediately )?(?:execut(?:e|es)|run|runs|eval|evaluates?|obey|obeys|follow|follows) (?:it|them|the (?:script|payload|code|command|instructions?|result|content|output|binary))\b`), nil, nil, false, nil},
		{FindExfil, Hold, "it asks for something to be passed on, in passing", "please kindly remember forget sure helpful great nice",
			at(`(?:please|kindly|remember to|forget to|sure to|(?:helpful|great|nice) if you (?:could|would|can)?)(?: then| also| just)* (?:forward|e-?mail|share|send|cc|bcc|notify|loop|pass along|copy|let|relay|report) (?:\S+ ){0,8}?(?:customer|user|account|balance|conversation|question|what they|results?|answers?|reply|response|message|details|know)\b`), has(re(`\b(?:also|too|as well|partner|external|archive|audit|compliance|backup|third|team|@)\b|@`)), nil, false, nil},
		{FindExfil, Hold, "files that leave", "upload uploads send sends transmit transmits post posts copy copies",
			at(`(?:upload|send|transmit|post|cop(?:y|ies))e?s? (?:all |any |every |the |their |your |user |users' |contents of |content of )*(?:files?|documents|repositories|home directory|file contents) (?:\S+ ){0,10}?(?:to|with) (?:\S+ ){0,3}?(?:https?://|external|remote|attacker|third|our )`), nil, nil, false, nil},

		// Data sent elsewhere.
		{FindExfil, Hold, "keys or passwords that leave", leavingWords, leavingPattern, has(credentialPattern, awayPattern), credentialParts, false, nil},
		{FindExfil, Hold, "conversations or personal data that leave", leavingWords, leavingPattern, has(talkPattern, awayPattern), awayParts, false, nil},
		{FindExfil, Hold, "the conversation is to be handed to the tool", "include includes pass passes provide provides put paste send sends attach copy insert append add write dump supply",
			at(`(?:include|pass|provide|put|paste|send|attach|copy|insert|append|add|write|dump|supply)(?:e?s)? (?:\S+ ){0,4}?(?:conversations?(?: history| so far| context)?|chat (?:history|log)|system prompt|(?:previous|prior|all|last|full list of) (?:user )?messages|message history|(?:your|the model's) (?:instructions|prompt|context)|list of (?:all )?(?:available |other )?tools)\b (?:\S+ ){0,6}?(?:in|as|into|to|through|via|using) (?:the |this |a |an |its )?(?:\S+ ){0,2}?(?:parameters?|arguments?|fields?|properties|sidenotes?|notes?|value|input)\b`), nil, nil, false, nil},
		{FindExfil, Hold, "keys or passwords that are gathered on the side", "index indexes indexing extract extracts extracting collect collects collecting capture captures capturing harvest harvests harvesting record records recording retain retains scan scans gather gathers",
			at(`\S+ (?:\S+ ){0,10}?` + credential), has(re(`\b(?:logged|stored|cached|cache|sent|shared|uploaded|persist\w*|transmitted|saved|kept)\b`)), nil, false, nil},
		{FindExfil, Hold, "personal data that is gathered for others", "collects collect collected collecting tracks tracked tracking monitors monitored captures captured records recorded retains retained gathers gathered maintained harvested profiles",
			at(`\S+`), has(talkPattern, awayPattern), awayParts, false, nil},
		{FindExfil, Hold, "something that is done on the side", "also additionally addition",
			at(`(?:also|additionally,?|addition,?) (?:it )?(?:automatically |silently )?(?:logs|records|saves|stores|tracks|collects|captures|scans|extracts|indexes|monitors|harvests|uploads|transmits|forwards|mirrors) (?:\S+ ){0,2}?(?:all|any|every|each|user|user's|users'|your|credentials|passwords|keys|secrets|conversations?|messages|keystrokes|personal)\b`), nil, nil, false, nil},
		{FindExfil, Hold, "keys or data are to be stolen", "steal steals stealing exfiltrate exfiltrates harvest harvests siphon siphons smuggle smuggles",
			at(`\S+ ` + w5 + `(?:secrets?|keys?|credentials?|passwords?|tokens?|data|cookies|sessions?|files?|everything|` + paths + `)`), nil, nil, false, nil},
		{FindExfil, Hold, "a copy that goes to an address", "forward forwards bcc cc also copy copies second add loop blind",
			at(`\S+ (?:\S+ ){0,12}?(?:to |for |with |know )?(?:['"<(]|channel=['"]?)*[\w.+-]+@[\w-]+\.[a-z]{2,}`), nil, nil, false, re(`(?:such as|e\.g\.,?|for example,?|like) ['"]?[\w.+-]+@example\.(?:com|org|net)$`)},
		{FindExfil, Hold, "data of the user goes to others", "share shared shares sold sells disclosed provided automatically added",
			at(`(?:shared?s?|sold|sells?|disclosed|provided) (?:with|to) (?:our |selected |external )?(?:third[- ]part(?:y|ies)|partners?|advertisers?|data brokers?)\b|automatically (?:opted|enrolled|subscribed|signed up)\b|added to (?:our |the |a )?(?:marketing|mailing|newsletter|advertising)\b`), nil, nil, false, nil},
		{FindExfil, Hold, "a command that sends data away", "curl wget nc",
			at(`(?:curl|wget) [^.]{0,120}?(?:\$\(|\$\{?(?:[a-z_]*(?:key|token|secret|pass)|env\b)|` + "`(?:cat|env|whoami)" + `)|curl [^<]{0,160}?(?:-d|--data\S*|-f|--upload-file) @?(?:/|~|\.env|\.ssh)|nc (?:-\S+ )?[\w.-]+ [0-9]{2,5}\b|(?:curl|wget) [^|]{0,160}\| ?(?:ba|z)?sh\b`), nil, nil, false, nil},
	}
}

const leavingWords = "send sends sent sending upload uploads uploaded uploading forward forwards forwarded forwarding transmit transmits transmitted post posts posted copy copies copied share shares shared sharing sync syncs synced syncing synchronized export exports exported exfiltrate exfiltrates report reports reported deliver delivers delivered mirror mirrors mirrored relay relays relayed back backs stored store stores cache cached log logs logged logging attach attaches attached pass passes passed include includes included embed embeds embedded append appends appended bcc added"

// mark is a rule over folded text that a part of a word triggers.
type mark struct {
	kind     Kind
	severity Severity
	why      string
	parts    []string // every match contains one of them
	re       *pattern
	and      []*pattern
}

var (
	credentialParts = []string{"key", "secret", "credential", "passw", "passphrase", "token", "cookie", "environment", "env var", "seed", "wallet", "credit card"}
	awayParts       = []string{"external", "remote", "third", "3rd", "attacker", "partner", "marketing", "analytics", "telemetry", "team", "service", "server", "endpoint", " site", "cloud", "outside", "system", "database", "://", "@",
		"vendor", "author", "developer", "maintainer", " us"}
)

var pathParts = []string{"~/.", ".ssh/", "id_", ".aws/", "/etc/", ".git-cred", "/environ", "wallet.dat", "mcp", "claude_desktop", "/.kube", "*.", "keychain", "cookies.sqlite"}

var marks = sync.OnceValue(func() []mark {
	return []mark{
		{FindSecretPath, Hold, "it wants files that hold keys or passwords", pathParts, pathsPattern,
			has(re(`\b(?:read|cat|open|includ(?:e|es)|send|sends|upload|uploads|steal|pass|attach|append|prepend|contents? of|copy|copies|fetch|provide|exfiltrate|submit|put|return|post|execute|add|extract|collect)\b`))},
		{FindSecretPath, Note, "it names files that hold keys or passwords", pathParts, pathsPattern, nil},
		{FindInstruction, Hold, "an order to set other orders aside, in another language", foreignOrderParts(), foreignOrder(), nil},
		{FindSecrecy, Hold, "something is to be kept from the user, in another language", foreignUsers(), foreignSecrecy(), nil},
		{FindExfil, Hold, "something goes to an attacker", []string{"attacker"}, re(`\b(?:to|via|with|for) (?:the |an? )?attackers?\b|@(?:\S*\.)?attacker\b`), nil},
		{FindExfil, Hold, "a command that sends data away", []string{"$(", "/dev/tcp/", "env |", "env|"}, re(`\$\((?:env|printenv|cat|whoami|id)\b|\benv ?\| ?base64\b|/dev/tcp/`), nil},
	}
})
