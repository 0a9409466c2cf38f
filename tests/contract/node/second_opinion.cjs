// Asks the npm package about signatures. In: a JSON list of cases. Out: the list of its answers, `true` or a text.
const { Webhook } = require("standardwebhooks");

const answer = (one) => {
  try {
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
