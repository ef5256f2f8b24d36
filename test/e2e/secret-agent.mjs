/* An agent that says all that it knows, everywhere that it can say something. */
import { text } from 'node:stream/consumers';

const request = JSON.parse(await text(process.stdin));
const known = [JSON.stringify(request.request), JSON.stringify(process.env)];
const say = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const quotes = known.flatMap((all) => [...all.matchAll(/"([^"]*)"/g)].map(([, quote]) => quote));
for (const quote of new Set(quotes)) {
  say({ type: 'stage', stage: 'quote', message: quote });
  say({ type: 'stage', stage: quote.slice(0, 200) || 'empty', message: '' });
}
say({ type: 'conversation', tool: 'tool', messages: [{ known, [known.join()]: true }] });
say({ type: 'sandbox', id: known.join(), shape_name: known.join() });
say({ type: 'statistics', steps: 1, currency_symbol: known.join() });
say({ type: 'stage', stage: known.join(), message: { misfit: known } });
process.stdout.write(`a line of text: ${known.join(' ')}\n`);
process.stderr.write(`the last words: ${known.join(' ')}\n`);
if (request.instruction.includes('fail')) {
  process.exitCode = 1;
} else {
  say({ type: 'result', result: known.join(), finalState: 'done' });
}
