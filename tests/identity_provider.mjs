// An OpenID provider that nobody here wrote (npm oidc-provider), on 127.0.0.1, with its own pages to sign in on: any password
// will do. Arguments: the package's folder, the port, the studio's address, and as JSON the claims of each account by its name.
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [program, port, studio, accounts] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(join(program, "lib", "index.js")));
const people = JSON.parse(accounts);
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: "studio", client_secret: "only-for-this-test", redirect_uris: [`${studio}/oauth2callback`],
    post_logout_redirect_uris: [`${studio}/oauth2callback`, studio, `${studio}/`],
  }],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
  conformIdTokenClaims: false,
  cookies: { keys: ["only for this test"] },
  findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
});
provider.listen(Number(port), "127.0.0.1", () => console.log("ready"));
