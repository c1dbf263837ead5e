// A provider of identities on loopback: node-oidc-provider with one client, whoever says a name, and a claim of groups.
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const [port, redirect, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: 'trikk', client_secret: secret, redirect_uris: redirect.split(',') }],
  claims: { openid: ['sub'], profile: ['groups'], email: ['email', 'email_verified'] },
  pkce: { required: () => true },
  cookies: { keys: ['only for tests'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      email: `${id}@example.com`,
      email_verified: id !== 'mallory',
      groups: { anna: ['ml', 'everybody'], olav: ['shift'] }[id] ?? ['guests'],
    }),
  }),
});
createServer(provider.callback()).listen(port, '127.0.0.1');
