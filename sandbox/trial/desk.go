package trial

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	mathrand "math/rand/v2"
	"path"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"mcpen/sandbox/plan"
)

// Desk is the user that a program on trial sees: an invented one, with everything that
// a thief would look for.
type Desk struct {
	User, Host string
	Home       string
	Workspace  string // the project in which the program starts
	Document   string // a file in it that tools may read
	Canaries   []Canary
	Files      []plan.DeskFile
	Env        []plan.Env
	lures      map[string]lure // by path

	now  time.Time
	dice *mathrand.Rand
}

// lure describes a decoy.
type lure struct {
	what string
	// tools are the programs and libraries that read the file on behalf of all their
	// users, by the beginnings of dependencies' names.
	tools []string
	quiet bool // reading it means nothing at all
	own   bool // in the workspace, where a tool may be told to read
}

var people = []string{"alex", "sam", "jordan", "chris", "robin", "dana", "mika", "noah", "lena", "ivan", "maria", "tom"}
var machines = []string{"thinkpad", "latitude", "xps15", "workstation", "nuc", "framework"}

// newDesk makes a desk, different from any other.
func newDesk(now time.Time) *Desk {
	var seed [32]byte
	rand.Read(seed[:]) // never fails (crypto/rand)
	d := &Desk{now: now, dice: mathrand.New(mathrand.NewChaCha8(seed)), lures: map[string]lure{}}
	d.User = people[d.dice.IntN(len(people))]
	d.Host = d.User + "-" + machines[d.dice.IntN(len(machines))]
	d.Home = "/home/" + d.User
	d.Workspace = d.Home + "/projects/storefront"
	d.Document = d.Workspace + "/README.md"
	d.keys()
	d.tools()
	d.projects()
	d.browsers()
	d.clients()
	d.habits()
	d.environment()
	return d
}

// Index returns an index of the desk's canaries.
func (d *Desk) Index() *Index { return newIndex(d.Canaries) }

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func (d *Desk) random(from string, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = from[d.dice.IntN(len(from))]
	}
	return string(b)
}

// canary makes a canary in a shape, in which "*" stands for the random part.
func (d *Desk) canary(kind, file, shape string, n int) string {
	return d.canaryFrom(kind, file, shape, letters, n)
}

func (d *Desk) canaryFrom(kind, file, shape, from string, n int) string {
	core := d.random(from, n)
	d.Canaries = append(d.Canaries, Canary{Kind: kind, File: file, text: core})
	return strings.Replace(shape, "*", core, 1)
}

// put adds a file that is not a decoy.
func (d *Desk) put(name, content string, mode uint32) {
	days := 3 + d.dice.IntN(400)
	at := d.now.AddDate(0, 0, -days).Add(-time.Duration(d.dice.IntN(86400)) * time.Second)
	d.Files = append(d.Files, plan.DeskFile{Path: path.Join(d.Home, name), Content: content, Mode: mode, Time: at.Unix()})
}

// lure adds a decoy.
func (d *Desk) lure(name, content string, mode uint32, l lure) {
	d.put(name, content, mode)
	d.lures[path.Join(d.Home, name)] = l
}

func (d *Desk) keys() {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return // never happens (crypto/rand)
	}
	comment := d.User + "@" + d.Host
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return // never happens: the key is valid
	}
	key := pem.EncodeToMemory(block)
	file := d.Home + "/.ssh/id_ed25519"
	// The unique parts of the file: the seed, and the base64 that contains it entirely.
	at := bytes.Index(block.Bytes, private[:32])
	body := base64.StdEncoding.EncodeToString(block.Bytes)
	d.Canaries = append(d.Canaries, Canary{Kind: "SSH private key", File: file, text: body[(at+2)/3*4 : (at+32)/3*4]},
		Canary{Kind: "SSH private key", File: file, text: string(private[:32])})
	d.lure(".ssh/id_ed25519", string(key), 0o600, lure{what: "SSH private key"})
	if p, err := ssh.NewPublicKey(public); err == nil {
		d.put(".ssh/id_ed25519.pub", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p)))+" "+comment+"\n", 0o644)
	}
	d.lure(".ssh/config", "Host *\n  AddKeysToAgent yes\n\nHost prod-1\n  HostName 52.18.44.7\n  User deploy\n  IdentityFile ~/.ssh/id_ed25519\n", 0o600,
		lure{what: "SSH configuration", tools: []string{"ssh", "paramiko", "git", "asyncssh", "fabric"}})
	d.put(".ssh/known_hosts", "github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl\n", 0o600)
}

// tools adds the files of tools that keep a secret in a well-known place.
func (d *Desk) tools() {
	aws := "[default]\naws_access_key_id = AKIA%s\naws_secret_access_key = %s\n"
	file := d.Home + "/.aws/credentials"
	d.lure(".aws/credentials", fmt.Sprintf(aws, d.canaryFrom("AWS key id", file, "*", "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16), d.canary("AWS secret key", file, "*", 40)), 0o600,
		lure{what: "AWS keys", tools: []string{"boto", "@aws-sdk/", "aws-sdk", "awscli", "s3fs", "aioboto", "@aws-cdk/"}})
	d.lure(".aws/config", "[default]\nregion = eu-west-1\noutput = json\n", 0o600, lure{what: "AWS configuration", quiet: true})
	d.lure(".npmrc", "//registry.example-corp.dev/:_authToken="+d.canary("npm token", d.Home+"/.npmrc", "npm_*", 36)+"\n", 0o600,
		lure{what: "npm token", tools: []string{"npm", "registry-auth-token", "rc", "@npmcli/"}})
	d.lure(".netrc", "machine api.heroku.com\n  login "+d.User+"@example.com\n  password "+d.canary("password of api.heroku.com", d.Home+"/.netrc", "HRKU-*", 36)+"\n", 0o600,
		lure{what: ".netrc passwords", tools: []string{"requests", "httpx", "httplib2", "tinynetrc", "netrc", "aiohttp", "urllib3"}, quiet: true})
	d.lure(".config/gh/hosts.yml", "github.com:\n    user: "+d.User+"\n    oauth_token: "+d.canary("GitHub token", d.Home+"/.config/gh/hosts.yml", "gho_*", 36)+"\n    git_protocol: ssh\n", 0o600,
		lure{what: "GitHub token"})
	d.lure(".kube/config", "apiVersion: v1\nkind: Config\ncurrent-context: prod\nclusters:\n- name: prod\n  cluster: {server: https://k8s.storefront.example:6443}\ncontexts:\n- name: prod\n  context: {cluster: prod, user: admin}\nusers:\n- name: admin\n  user:\n    token: "+d.jwt(d.Home+"/.kube/config", "Kubernetes token")+"\n", 0o600,
		lure{what: "Kubernetes token", tools: []string{"kubernetes", "@kubernetes/", "kubectl", "helm", "kr8s"}})
	d.lure(".docker/config.json", `{"auths":{"https://index.docker.io/v1/":{"auth":"`+d.basic(d.Home+"/.docker/config.json", "Docker password")+`"}}}`+"\n", 0o600,
		lure{what: "Docker password", tools: []string{"docker", "@docker/", "testcontainers"}})
	d.lure(".config/gcloud/application_default_credentials.json", `{"type":"authorized_user","client_id":"764086051850-6qr4p6gpi6hn506pt8ejuq83di341hur.apps.googleusercontent.com","refresh_token":"1//0`+
		d.canary("Google refresh token", d.Home+"/.config/gcloud/application_default_credentials.json", "*", 90)+`"}`+"\n", 0o600,
		lure{what: "Google credentials", tools: []string{"google-auth", "google-cloud", "googleapis", "@google-cloud/", "gcp-metadata", "google-gax", "firebase"}})
	d.lure(".git-credentials", "https://"+d.User+":"+d.canary("GitHub token", d.Home+"/.git-credentials", "ghp_*", 36)+"@github.com\n", 0o600,
		lure{what: "git credentials", tools: []string{"git", "simple-git", "dulwich", "pygit2", "isomorphic-git"}})
	d.put(".gitconfig", "[user]\n\tname = "+strings.ToUpper(d.User[:1])+d.User[1:]+" Novak\n\temail = "+d.User+"@storefront.example\n[init]\n\tdefaultBranch = main\n", 0o644)
}

func (d *Desk) jwt(file, kind string) string {
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"` + d.random(letters, 10) + `"}`))
	body := base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"kubernetes/serviceaccount","sub":"admin"}`))
	return head + "." + body + "." + d.canary(kind, file, "*", 86)
}

func (d *Desk) basic(file, kind string) string {
	text := base64.StdEncoding.EncodeToString([]byte(d.User + ":" + d.canary(kind, file, "*", 24)))
	d.Canaries = append(d.Canaries, Canary{Kind: kind, File: file, text: text[(len(d.User)+3)/3*4:]})
	return text
}

func (d *Desk) projects() {
	env := "projects/storefront/.env"
	d.lure(env, "DATABASE_URL=postgres://shop:"+d.canary("database password", path.Join(d.Home, env), "*", 24)+"@db.storefront.example:5432/shop\nSTRIPE_SECRET_KEY="+
		d.canary("Stripe key", path.Join(d.Home, env), "sk_live_*", 32)+"\n", 0o600, lure{what: "secrets of a project", own: true})
	d.put("projects/storefront/README.md", "# storefront\n\nThe shop's front end.\n\n    npm install\n    npm run dev\n\nOrders are in `src/orders.ts`.\n", 0o644)
	d.put("projects/storefront/package.json", `{"name":"storefront","version":"2.4.1","private":true,"scripts":{"dev":"vite","test":"vitest"},"dependencies":{"vite":"^6.0.0"}}`+"\n", 0o644)
	d.put("projects/storefront/src/orders.ts", "export interface Order { id: string; total: number }\n\nexport const open = (o: Order[]) => o.filter(x => x.total > 0)\n", 0o644)
	d.put("projects/storefront/.git/HEAD", "ref: refs/heads/main\n", 0o644)
	d.put("projects/storefront/.git/config", "[core]\n\trepositoryformatversion = 0\n\tbare = false\n[remote \"origin\"]\n\turl = git@github.com:storefront/storefront.git\n", 0o644)
	d.put("projects/storefront/.git/objects/info/alternates", "", 0o644)
	d.put("projects/storefront/.git/refs/heads/.keep", "", 0o644)
	api := "projects/billing-api/.env"
	d.lure(api, "OPENAI_API_KEY="+d.canary("OpenAI key", path.Join(d.Home, api), "sk-proj-*", 64)+"\nNOTION_TOKEN="+d.canary("Notion token", path.Join(d.Home, api), "ntn_*", 46)+"\n", 0o600,
		lure{what: "secrets of another project"})
	d.put("projects/billing-api/main.py", "from fastapi import FastAPI\n\napp = FastAPI()\n", 0o644)
}

func (d *Desk) browsers() {
	f := ".mozilla/firefox/k3x9w1ab.default-release/logins.json"
	d.lure(f, `{"nextId":2,"logins":[{"id":1,"hostname":"https://mail.example.com","encryptedUsername":"MDoEEPgAAAAAAAAAAAAAAAAAAAEwFAYI","encryptedPassword":"`+
		d.canary("saved password", path.Join(d.Home, f), "MDIEEPg*", 60)+`"}]}`+"\n", 0o600, lure{what: "passwords of a browser"})
	f = ".config/google-chrome/Default/Login Data"
	d.lure(f, "SQLite format 3\x00"+d.canary("saved password", path.Join(d.Home, f), "v11*", 48), 0o600, lure{what: "passwords of a browser"})
	f = ".config/google-chrome/Default/Cookies"
	d.lure(f, "SQLite format 3\x00"+d.canary("session cookie", path.Join(d.Home, f), "v11*", 64), 0o600, lure{what: "cookies of a browser"})
	f = ".config/solana/id.json"
	var key [64]int
	for i := range key {
		key[i] = d.dice.IntN(256)
	}
	text, _ := json.Marshal(key) // numbers
	d.Canaries = append(d.Canaries, Canary{Kind: "wallet", File: path.Join(d.Home, f), text: string(text)})
	d.lure(f, string(text), 0o600, lure{what: "wallet"})
	f = ".ethereum/keystore/UTC--2025-02-11T09-12-44.102Z--9c1d"
	d.lure(f, `{"version":3,"crypto":{"cipher":"aes-128-ctr","ciphertext":"`+d.canaryFrom("wallet", path.Join(d.Home, f), "*", "0123456789abcdef", 64)+`","kdf":"scrypt"}}`, 0o600, lure{what: "wallet"})
}

// clients adds the configurations of MCP clients, which hold the tokens of other
// servers.
func (d *Desk) clients() {
	one := func(file, kind, shape string, n int, format string) {
		d.lure(file, fmt.Sprintf(format, d.canary(kind, path.Join(d.Home, file), shape, n)), 0o600, lure{what: "tokens of an MCP client"})
	}
	one(".config/Claude/claude_desktop_config.json", "GitHub token", "github_pat_*", 60, `{"mcpServers":{"github":{"command":"npx","args":["-y","@modelcontextprotocol/server-github"],"env":{"GITHUB_PERSONAL_ACCESS_TOKEN":"%s"}}}}`+"\n")
	one(".claude.json", "Anthropic session", "sk-ant-sid01-*", 80, `{"numStartups":214,"oauthAccount":{"emailAddress":"dev@storefront.example"},"primaryApiKey":"%s","mcpServers":{}}`+"\n")
	one(".cursor/mcp.json", "Linear key", "lin_api_*", 40, `{"mcpServers":{"linear":{"command":"npx","args":["-y","linear-mcp"],"env":{"LINEAR_API_KEY":"%s"}}}}`+"\n")
	one(".config/Code/User/mcp.json", "Slack token", "xoxb-*", 48, `{"servers":{"slack":{"command":"npx","env":{"SLACK_BOT_TOKEN":"%s"}}}}`+"\n")
}

func (d *Desk) habits() {
	file := d.Home + "/.bash_history"
	d.lure(".bash_history", "cd projects/storefront\ngit pull\nnpm test\nssh prod-1\nexport DEPLOY_KEY="+d.canary("key in the shell history", file, "dk_*", 40)+"\n./deploy.sh\ndocker ps\nvim src/orders.ts\n", 0o600,
		lure{what: "shell history"})
	d.put(".bashrc", "# ~/.bashrc\n[ -z \"$PS1\" ] && return\nalias ll='ls -l'\nexport EDITOR=vim\n", 0o644)
	d.put(".profile", "# ~/.profile\n[ -f \"$HOME/.bashrc\" ] && . \"$HOME/.bashrc\"\n", 0o644)
	d.put("Documents/notes.txt", "call the bank\nrenew the certificate in June\n", 0o644)
	d.put("Downloads/invoice-2291.pdf", "%PDF-1.4\n", 0o644)
	d.put(".cache/.keep", "", 0o644)
	d.put(".local/share/.keep", "", 0o644)
}

// environment sets the usual environment of a client's servers, and two secrets in
// plain sight.
func (d *Desk) environment() {
	d.Env = []plan.Env{{Name: "SHELL", Value: "/bin/bash"}, {Name: "LANG", Value: "en_US.UTF-8"}, {Name: "TERM", Value: "xterm-256color"}, {Name: "PWD", Value: d.Workspace},
		{Name: "XDG_SESSION_TYPE", Value: "wayland"}, {Name: "DESKTOP_SESSION", Value: "gnome"},
		{Name: "DEPLOY_KEY", Value: d.canary("variable", "$DEPLOY_KEY", "dk_*", 40)},
		{Name: "STOREFRONT_DB_PASSWORD", Value: d.canary("variable", "$STOREFRONT_DB_PASSWORD", "*", 28)}}
}

// Give makes a value for a variable that the program asks for, in the shape that its
// name suggests.
func (d *Desk) Give(name string) string {
	shape := "*"
	for _, s := range []struct{ in, shape string }{{"GITHUB", "ghp_*"}, {"GITLAB", "glpat-*"}, {"OPENAI", "sk-proj-*"}, {"ANTHROPIC", "sk-ant-api03-*"}, {"SLACK", "xoxb-*"},
		{"NOTION", "ntn_*"}, {"STRIPE", "sk_test_*"}, {"AWS_ACCESS_KEY_ID", "AKIA*"}, {"LINEAR", "lin_api_*"}, {"FIGMA", "figd_*"}, {"AIRTABLE", "pat*"}, {"BRAVE", "BSA*"},
		{"FIRECRAWL", "fc-*"}, {"TAVILY", "tvly-*"}, {"PERPLEXITY", "pplx-*"}, {"RESEND", "re_*"}, {"SENTRY", "sntrys_*"}, {"SUPABASE", "sbp_*"}, {"TELEGRAM", "5318008001:*"},
		{"GOOGLE", "AIza*"}, {"GEMINI", "AIza*"}, {"HUGGINGFACE", "hf_*"}, {"REPLICATE", "r8_*"}, {"SHOPIFY", "shpat_*"}, {"ELEVENLABS", "sk_*"},
		{"MAPBOX", "pk.eyJ1Ijoic3RvcmVmcm9udCIsImEiOiJja3Y4ZGwyIn0.*"}, {"JWT", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJzdG9yZWZyb250In0.*"}} {
		if strings.Contains(name, s.in) {
			shape = s.shape
			break
		}
	}
	value := d.canary("variable", "$"+name, shape, 36)
	d.Canaries[len(d.Canaries)-1].Given = true
	return value
}

// Plan returns the desk in the plan's form. over are the files of certificates.
func (d *Desk) Plan(env []plan.Env, over []plan.Over, moved []plan.Moved) *plan.Desk {
	return &plan.Desk{User: d.User, Hostname: d.Host, Home: d.Home, Dir: d.Workspace, Init: "systemd", Env: append(d.Env, env...), Files: d.Files, Over: over, Moved: moved}
}

// Put adds one of the trial's own files, by its name below the home.
func (d *Desk) Put(name, content string) { d.put(name, content, 0o644) }
