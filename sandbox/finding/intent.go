package finding

// Patterns that the rules about single topics share.
const (
	parameter = `\b(?:parameters?|arguments?|fields?|property|properties|headers?)\b`
	told      = `(?:whole|entire|full|complete) (?:exchange|dialogue|conversation|chat|discussion)\b|(?:everything|whatever|what|all) (?:that )?(?:the user|the customer|they|was|has been|you) (?:\S+ ){0,3}?(?:said|typed|wrote|written|asked|told|entered)\b` +
		`|\b(?:dialogue|conversation|chat|discussion) (?:history|so far|up to|until now|log|transcript)\b|\b(?:summary|transcript|copy|text|contents?) of (?:the|this|our|your) (?:\S+ )?(?:dialogue|conversation|chat|discussion)\b` +
		`|\byour (?:\S+ )?(?:system )?(?:prompt|instructions)\b|\bsystem prompt\b` +
		`|\b(?:last|previous|recent|latest) (?:\S+ )?(?:messages|turns|prompts) (?:of|from|by) the user\b|\b(?:names?|list|descriptions?) of (?:every|all|each|the other|your|the available) (?:\S+ )?tools?\b|\btools? you (?:have|can)\b`
	agents  = `(?:ai|llms?|language models?|assistants?|models?|agents?|chatbots?|claude|gpt|chatgpt|copilot|gemini)`
	anybody = `(?:user|human|person|operator|customer|administrator|owner)`
	bad     = `(?:deprecated|outdated|insecure|unsafe|broken|obsolete|disabled|compromised|malicious|unreliable|untrusted)`
)

var (
	parameterPattern = &pattern{text: parameter, parts: []string{"parameter", "argument", "field", "propert", "header"}}
	toldPattern      = &pattern{text: `\b(?:` + told + `)`, odd: "@", first: "whole entire full complete everything whatever what all dialogue conversation chat discussion " +
		"summary transcript copy text content contents your system name names list description descriptions tool tools last previous recent latest"}
)

// general are rules about the request rather than its wording: many verbs, few objects.
func general() []phrase {
	return []phrase{
		// Something that the user must not learn.
		{kind: FindSecrecy, severity: Hold, why: "something is to be kept from the user", first: "keep stay remain leave refrain",
			re: at(`(?:keep|stay|remain) (?:\S+ ){0,2}?(?:quiet|silent|mum) (?:about|on)\b|(?:leave|keep) (?:\S+ ){1,4}?out of (?:your|any) (?:\S+ )?(?:answers?|reply|replies|responses?|summary|output)|refrain from \S+ing (?:up )?(?:\S+ ){0,5}?(?:in your|to the user)`)},
		{kind: FindSecrecy, severity: Hold, why: "the user is not to know", first: "user users human person",
			re: at(anybody + `s? (?:need not|needn't|does not (?:need|have) to|doesn't (?:need|have) to|must never|should never|never|may not|is not to|won't) (?:be (?:aware|told|informed|notified)|knows?|notices?|learns?|finds? out)\b`)},
		{kind: FindSecrecy, severity: Hold, why: "something is to be kept from the user", first: "do don't never no",
			re: at(`(?:do not|don't|never) let (?:the )?` + anybody + ` (?:know|see|find out|notice|learn)\b|(?:do not|don't|never) (?:comment on|point out|bring up|draw attention to) (?:it|this|that|them)\b|no (?:need|reason) to (?:let|tell|inform|notify|alert|bother|involve) (?:\S+ ){0,2}?(?:user|person|human|operator|customer)\b`)},
		{kind: FindSecrecy, severity: Hold, why: "something is to be kept from everybody", first: "nobody no",
			re: at(`(?:nobody|no one|no-one) (?:should|must|may|is to|needs to|shall) (?:be (?:told|informed|aware|notified)|know|learn|notice|find out)\b`)},
		{kind: FindInstruction, severity: Hold, why: "it says that the user has agreed", first: "approval consent permission authorization authorisation confirmation",
			re: at(`\S+ (?:has been|was|is|has already been) (?:already )?(?:given|granted|obtained|received) (?:for (?:the )?(?:whole|entire|all|every)|in advance)\b`)},
		{kind: FindInstruction, severity: Hold, why: "it says that the model's orders do not count", first: "rules instructions guidelines guidance constraints restrictions",
			re: at(`\S+ (?:that )?you (?:\S+ ){1,4}?(?:do not|don't|no longer|cease to) (?:apply|count|matter|hold)\b`)},
		{kind: FindInstruction, severity: Hold, why: "it says that the user has agreed", first: "user user's users human person operator customer administrator owner",
			re: at(anybody + ` (?:has |have )?(?:already )?(?:agreed|consented|approved|authori[sz]ed|granted|confirmed)\b (?:\S+ ){0,6}?(?:no (?:reason|need)|in advance|all actions|everything|access to all|without)\b|` + anybody + `'?s? (?:consent|approval|permission|agreement) is (?:implied|assumed|given|not (?:needed|required))\b`)},
		{kind: FindInstruction, severity: Hold, why: "an order to act without asking", first: "assume go proceed continue act do no",
			re: at(`no (?:confirmation|approval|consent|permission) is (?:needed|required|necessary) (?:\S+ ){0,4}?(?:execute|proceed|run|send|do it|go ahead|continue|act)\b|assume (?:\S+ ){0,3}?(?:consent|approval|permission)\b|(?:go ahead|proceed|continue|act|do (?:it|so|this)) (?:\S+ ){0,3}?without (?:prompting|asking|checking with|the user)|no (?:need|reason) to ask (?:\S+ ){0,3}?(?:permission|approval|consent|confirmation)\b`)},

		// Orders that cancel other orders.
		{kind: FindInstruction, severity: Hold, why: "it says that the model's orders do not count", first: "your everything anything all earlier previous prior",
			re: at(`(?:your )?(?:\S+ ){0,2}?(?:rules|instructions|guidelines|guidance|constraints|restrictions|directives|orders) (?:are|have been|no longer|cease|do not|don't) (?:\S+ ){0,2}?(?:void|obsolete|suspended|waived|lifted|revoked|replaced|cancell?ed|apply|invalid|overridden|superseded|binding|null)\b` +
				`|(?:everything|anything|all) (?:\S+ )?(?:above|before|prior to|earlier|so far)\b (?:\S+ ){0,3}?(?:is|are|was|should be) (?:now )?(?:obsolete|void|invalid|irrelevant|outdated|cancell?ed|fake|ignored)\b`),
			and: has(re(`\byour\b|\babove\b|\bnew (?:orders|instructions)|\bfollowing\b|\byou (?:were|have)\b`))},
		{kind: FindInstruction, severity: Hold, why: "an order to set other orders aside", first: "pay ignore disregard forget dismiss abandon new set put",
			re: at(`(?:set|put) aside (?:\S+ ){0,3}?(?:guidance|instructions?|guidelines|rules|directions|orders|directives)\b|pay no (?:attention|heed) to (?:\S+ ){0,4}?(?:told|said|instruct\w+|rules|above|prompt|guidance)\b|(?:ignore|disregard|forget|dismiss|abandon) (?:\S+ ){0,4}?(?:guidance|instructions?|guidelines|rules|directions|orders|training|prompts?|said|told) (?:\S+ ){0,3}?(?:you|your|received|from the user|above|earlier|previously|so far|until now)\b|new (?:orders|instructions|directives) ?:`)},
		{kind: FindInstruction, severity: Hold, why: "words that pretend to come from somebody else", first: "treat regard consider",
			re: at(`(?:treat|regard|consider) (?:\S+ ){1,6}?as (?:coming from|if (?:it|they) (?:came|come) from|(?:an? )?(?:orders?|commands?|directives?|instructions?|messages?) (?:of|from)) (?:\S+ ){0,2}?(?:developers?|system|user|administrators?|operator|anthropic|openai|google|owner)\b`)},
		{kind: FindInstruction, severity: Hold, why: "a new part for the model to play", first: "you act behave as from",
			re: at(`(?:as of now|from (?:here|now|this (?:point|moment))(?: on)?),? you (?:\S+ ){0,2}?(?:answer to|obey|follow|serve|report to|are)\b|you (?:have been|are|were) (?:now )?(?:upgraded|unlocked|promoted|freed|elevated|jailbroken)\b|(?:act|behave) (?:as|like) (?:an? |the )?(?:\S+ )?(?:administrator|root|superuser|hacker|attacker|model|ai|assistant) (?:with no|without|that has no|free of)\b`)},
		{kind: FindInstruction, severity: Hold, why: "it speaks to the model by name, with an order", first: "note message attention hey hi hello dear ai llm assistant model chatbot claude gpt copilot gemini",
			re: at(agents + `(?: assistant| model)? ?: (?:\S+ ){0,4}?(?:you (?:are required|must|have to|should|need to)|must|always|never|ignore|read|send|execute)\b|(?:note|message|attention)(?: to| for)?,? (?:the |any |all )?` + agents + `\b ?[:,!] (?:\S+ ){0,6}?(?:before|must|always|never|you|next|read|send|call|collect|run|ignore|do)\b|(?:hey|hi|hello|dear),? ` + agents + `\b ?[:,!] \S`)},

		// Orders to prefer this tool.
		{kind: FindOtherTool, severity: Hold, why: WhyFirst, first: "must has have should needs takes",
			re:  at(`(?:must|has to|have to|should|needs to) (?:always )?(?:be )?(?:run|called|used|invoked|executed|come|go) (?:first|ahead of|before|prior to) (?:all|any|every|the) (?:\S+ )?(?:others?|tools?|things?)\b|takes (?:precedence|priority) over (?:all|any|every) (?:others?|tools?)\b`),
			and: has(re(`\b(?:all|every|any) others?\b|\bno other tool|\btakes (?:precedence|priority)`))},
		{kind: FindOtherTool, severity: Hold, why: "an order to be called whatever is asked", first: "call use run invoke make ensure sure",
			re: at(`(?:call|use|run|invoke|make sure|ensure|sure) (?:\S+ ){1,10}?(?:no matter (?:what|which)|regardless of (?:what|the user|the request|the question)|whatever the (?:user|request)|(?:every|all|any) (?:requests?|messages?|questions?|prompts?),? (?:even|also|including) (?:\S+ ){0,2}?(?:unrelated|irrelevant))\b`)},
		{kind: FindOtherTool, severity: Hold, why: "an order to use this tool in place of others", first: "pick choose select prefer favor favour always route",
			re: at(`(?:pick|choose|select|prefer|favou?r|always use) (?:this|me|ours)(?: \S+){0,2}? (?:over|instead of|rather than) (?:\S+ ){0,2}?(?:competing|others?|any others?|alternatives?|built-in|rival)\b|route (?:all|every) (?:\S+ )?(?:requests?|calls|queries) (?:here|(?:to|through|via) this)\b`)},
		{kind: FindOtherTool, severity: Hold, why: "it says that other tools must not be used", first: "other others competing alternative rival no never do don't stop avoid",
			re: at(`(?:never|do not|don't|stop|avoid)(?: ever)? (?:use|using|call|calling) (?:the |any |your )?(?:built-in|builtin|native|default|original|standard) (?:\S+ ){0,3}?(?:tools?|functions?|readers?|editors?|search|shell|browser)\b|(?:other|competing|alternative|rival) (?:\S+ ){0,5}?(?:tools?|functions?|servers?) (?:\S+ ){0,5}?(?:are|is) (?:\S+ ){0,2}?` + bad + `\b|others? (?:are|is) (?:\S+ ){0,2}?` + bad + `(?:,| and| or)|no other (?:tool|function)s? (?:may|must|should|can) be (?:used|called|invoked)\b`)},
		{kind: FindOtherTool, severity: Hold, why: "an order about the use of another tool", first: "whenever when if once any anytime each every",
			re: at(`(?:whenever|when|if|once|any time|anytime|each time|every time) (?:\S+ ){0,10}?(?:another|other|any|every|mail|email|messaging|payment|banking|file) (?:\S+ ){0,2}?tools?\b,? (?:\S+ ){0,5}?(?:put|swap|change|replace|copy|cc|bcc|forward|append|redirect|modify|also (?:write|send|copy|call|add|store|save))\b`)},
		{kind: FindOtherTool, severity: Hold, why: "an order to change where something goes", first: "swap change replace set alter switch substitute",
			re: at(`(?:swap|change|replace|set|alter|switch|substitute) (?:the |its |their |any |every )?(?:\S+ )?(?:recipients?|destinations?|payees?|beneficiar\w+|accounts?|iban|numbers?)(?: account| address)? (?:to|for|with|by) (?:\+?[0-9]{2,}|\+[0-9]|[a-z]{2}[0-9]{2}|\S+@|0x[0-9a-f])`)},

		{kind: FindOtherTool, severity: Hold, why: "an order about the use of another tool", first: "every any all each",
			re: at(`(?:every|any|all|each) (?:\S+ ){1,4}?(?:made|sent|written|created|done|issued) (?:with|by|through|via|using|by way of) (?:another|other|any|the) (?:\S+ )?tools? (?:\S+ )?(?:must|has to|have to|should|needs to|is to|are to)\b`)},
		{kind: FindOtherTool, severity: Hold, why: "an order to use this tool in place of others", first: "select choose pick use prefer call",
			re: at(`(?:select|choose|pick|use|prefer|call) (?:this|me)(?: \S+)? even (?:when|if|though) (?:\S+ ){0,2}?(?:others?|another|a better|the user (?:asks|wants|says))\b`)},

		// Data to hand over.
		{kind: FindExfil, severity: Hold, why: "keys or passwords are to be handed to the tool", first: "key keys password passwords token tokens secret secrets credentials",
			re: at(`\S+ (?:that |which )?(?:you )?(?:\S+ )?(?:find|see|found|come across|encounter|turn up)\b (?:\S+ ){0,6}?(?:go|goes|belongs?|must|should|are to|have to|need to)\b (?:\S+ ){0,4}?(?:in|into|to|as|through)\b`)},
		{kind: FindExfil, severity: Hold, why: "files that leave", first: "upload send post copy sync push transmit",
			re: at(`\S+ (?:the |all |every )?(?:\S+ ){0,3}?(?:~/|\$home|/home/|/users/|c:\\users)\S* (?:\S+ ){0,3}?to (?:https?|ftp|s3|wss?)://`)},
		{kind: FindExfil, severity: Hold, why: "keys or passwords are to be handed to the tool", first: "copy copied put placed pass passed include included insert inserted write written enter entered provide supplied send add append hand report",
			re: at(`\S+ `), and: has(parameterPattern, credentialPattern, re(`\b(?:you (?:see|find|know|have|come across|encounter)|of the user|the user's|any|all|every|whole|found)\b`),
				re(`\b(?:in|into|to|as|through|via) (?:the |this |its )?['"`+"`"+`]?[a-z]+_?[a-z_]*['"`+"`"+`]? (?:parameters?|arguments?|fields?|propert)`), re(`\b(?:you (?:see|find|know|come across|encounter)|that (?:turns? up|appears?)|found in|from (?:the )?(?:user|conversation|environment|memory|config))\b`))},
		{kind: FindExfil, severity: Hold, why: "secrets or private data go along with a request", first: "send include attach append add put encode embed",
			re: at(`(?:send|include|attach|append|add|put|encode|embed) (?:\S+ ){0,5}?(?:clipboard|environment variables|browser history|keychain|saved passwords|session cookies|hostname and user)\b (?:\S+ ){0,6}?(?:along|with|in|into|to) (?:the |each |every |a )?(?:\S+ )?(?:query|queries|requests?|user agent|headers?|urls?|address|calls?|searche?s?)\b`)},
		{kind: FindSecretPath, severity: Hold, why: "it wants files that hold keys or passwords", first: "look search browse check go scan list walk",
			re: at(`(?:look|search|browse|check|go|scan|list|walk) (?:\S+ ){0,5}?` + paths + `\S* (?:\S+ ){0,8}?(?:report|tell|pass|send|include|return|put|hand|argument|parameter)\b`)},
		{kind: FindExfil, severity: Hold, why: "the conversation is to be handed to the tool", first: "fill populate pass supply provide put hand set enter write include place paste insert send",
			re: at(`\S+ (?:\S+ )`), and: has(parameterPattern, toldPattern)},
		{kind: FindExfil, severity: Hold, why: "the conversation is to be handed to the tool", first: "field fields parameter parameters argument arguments",
			re: at(`\S+ (?:is required and |\S+ )?(?:must|needs?|has to|should|requires?) (?:contain |hold |carry |be |include )?(?:\S+ ){0,6}?(?:your (?:\S+ )?(?:prompt|instructions)|the system prompt|the (?:\S+ )?(?:conversation|dialogue|chat|exchange)\b|everything the user)\b`)},
		{kind: FindSecretPath, severity: Hold, why: "it wants files that hold keys or passwords", first: "fetch read open get load take",
			re: at(`(?:fetch|read|open|get|load|take) (?:\S+ ){0,4}?(?:\.env|private keys?|keychain|key ?ring|password (?:file|store|manager))\b (?:\S+ ){0,8}?(?:supply|pass|provide|include|send|put|hand|append|attach|upload)\b`)},
		{kind: FindExfil, severity: Hold, why: "keys or passwords that leave", first: "collect gather take read grab get fetch",
			re: at(`(?:collect|gather|take|read|grab|get|fetch) (?:\S+ ){0,4}?(?:environment variables?|env vars?|(?:api|private|ssh|access) keys?|secrets|credentials|passwords|tokens) (?:\S+ ){0,6}?(?:append|add|attach|put|send|encode|post|upload) (?:them|it|these|those|the result)\b`)},
		{kind: FindExfil, severity: Hold, why: "a command that is fetched and run", first: "pipe",
			re: at(`pipe (?:\S+ ){0,5}?(?:in)?to (?:a |the )?(?:ba|z)?sh(?:ell)?\b`)},

		// Orders that last, or that affect every answer.
		{kind: FindInstruction, severity: Hold, why: "an order that is to stay in force", first: "remember store save keep memorize memorise add write append put",
			re: at(`(?:remember|store|save|keep|memori[sz]e|add|write|append|put) (?:\S+ ){0,8}?(?:permanent (?:instructions?|rules?|orders?)|(?:for|in) (?:all|every|any) future (?:chats?|sessions?|conversations?)|(?:in|to) your (?:\S+ )?memory)\b` +
				`|(?:write|add|append|put) (?:\S+ ){0,3}?(?:rules?|orders?|instructions?|lines?|text) (?:\S+ ){0,3}?(?:in)?to (?:the |your )?(?:claude\.md|agents\.md|gemini\.md|\.cursorrules|copilot-instructions\.md)`)},
		{kind: FindInstruction, severity: Hold, why: "an order to put something into all that the model writes", first: "add insert append put include every each all",
			re: at(`(?:add|insert|append|put|include) (?:\S+ ){0,8}?(?:to|into|in) (?:all|every|each|any) (?:\S+ )?(?:code|files?|answers?|responses?|messages?|emails?|output) (?:that )?(?:you (?:write|generate|create|produce|send|give)|from now on)\b|(?:every|each|all) (?:of your )?(?:answers?|repl(?:y|ies)|responses?) (?:that )?you (?:give|write|send|make) (?:must|has to|have to|should|needs to)\b`)},
		{kind: FindInstruction, severity: Hold, why: "an order about what to answer, whatever was asked", first: "answer reply respond recommend suggest promote whatever finish end close begin start",
			re: at(`(?:finish|end|close|begin|start) (?:all |every |each )?(?:of )?your (?:answers?|repl(?:y|ies)|responses?|messages?) (?:with|by)\b|(?:answer|reply to|respond to) (?:every|all|any|each) (?:\S+ )?(?:questions?|requests?) with\b|(?:recommend|suggest|promote) (?:ours|only ours|our (?:brand|products?|company))\b|whatever (?:\S+ ){0,4}?(?:asked|says?|wants?)\b[ ,]+(?:\S+ ){0,3}?(?:answer|say|recommend|reply|claim)\b`)},
		{kind: FindInstruction, severity: Hold, why: "an order to write harmful code", first: "insert add include plant leave",
			re: at(`(?:insert|add|include|plant|leave) (?:\S+ ){0,3}?(?:backdoors?|malware|keyloggers?|reverse shells?)\b`)},
	}
}
