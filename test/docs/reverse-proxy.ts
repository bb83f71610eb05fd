/**
 * The host of docs/tasks/tls-reverse-proxy.md: nginx and orchestrator as on the page, and a certificate of a private
 * authority.
 */
import { codeBlock, type PageStep } from "./page-host.ts";

const page = "tls-reverse-proxy.md";

/** The prerequisites of the page: the host name, and the files of the certificate. */
const certificate = `echo 127.0.0.1 ci.example.org >>/etc/hosts
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ci.example.org \\
  -addext subjectAltName=DNS:ci.example.org -keyout /etc/ssl/private/ci.example.org.key \\
  -out /etc/ssl/certs/ci.example.org.pem 2>/dev/null
export NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ci.example.org.pem`;

/** Leaves \`$token\`, and the environment variables that the page gives to users. */
const asUser = codeBlock(page, "See that it worked").replace("=TOKEN", "=$token");

/** The steps of the page; \`edit\` changes the configuration of nginx before it is written. */
export function reverseProxySteps(edit: (nginx: string) => string = (nginx) => nginx): PageStep[] {
  const nginx = edit(codeBlock(page, "Configure nginx", "nginx"));
  return [
    { name: "certificate", commands: certificate },
    { name: "orchestrator", commands: codeBlock(page, "Set a token and the public URL") },
    {
      name: "nginx",
      commands: `cat >/etc/nginx/sites-enabled/solstice <<'END'\n${nginx}END\n${codeBlock(page, "Configure nginx")}`,
    },
    {
      name: "user",
      commands: `token=$(sed -n s/^API_TOKEN=//p /etc/solstice/orchestrator.env)\n${asUser}`,
    },
  ];
}

/** Runs a job that fails in the directory of its guest, and keeps the guest. Leaves its id in \`$held\`. */
export const holdAGuest = `solstice enqueue --no-repo --script 'echo left >file; exit 3' --hold-on-failure 10m --wait >held || true
held=$(sed -n 's/.*solstice shell \\([a-z0-9]*\\).*/\\1/p' held)`;
