// Asks others about signatures: the npm packages, and Node's own crypto. In: a JSON list of cases. Out: the list of
// its answers, `true` or a text.
const crypto = require("node:crypto");

const package_of = { standardwebhooks: () => require("standardwebhooks"), svix: () => require("svix") };

// v1a: no package checks it. The key is one of a JWKS (RFC 8037), the content as the specification has it.
const asymmetric = ({ jwk, headers, body }) => {
  const key = crypto.createPublicKey({ key: jwk, format: "jwk" });
  const content = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
  const offered = headers["webhook-signature"].split(" ").filter((one) => one.startsWith("v1a,"));
  return offered.some((one) => crypto.verify(null, content, key, Buffer.from(one.slice(4), "base64")));
};

const answer = (one) => {
  if (one.jwk) return asymmetric(one);
  try {
    const { Webhook } = package_of[one.package || "standardwebhooks"]();
    const webhook = new Webhook(one.secret);
    if (one.sign) return webhook.sign(one.id, new Date(one.at * 1000), one.body);
    webhook.verify(one.body, one.headers, { jsonParse: false });
    return true;
  } catch (error) {
    return error.name;
  }
};

let text = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (piece) => (text += piece));
process.stdin.on("end", () => process.stdout.write(JSON.stringify(JSON.parse(text).map(answer))));
