import { describe, expect, it } from '@jest/globals';
import { describeHosts, hostUrlsOf } from '../../src/storage/typeorm/connection-string.js';

describe('a connection string', () => {
  it.each([
    ['postgres://u:p@h:1/d', ['postgres://u:p@h:1/d']],
    ['postgresql://h1,h2:6000/d', ['postgresql://h1/d', 'postgresql://h2:6000/d']],
    [
      'postgres://u:p,w@h1:1,h2/d?sslmode=verify-full',
      ['postgres://u:p,w@h1:1/d?sslmode=verify-full', 'postgres://u:p,w@h2/d?sslmode=verify-full'],
    ],
    ['postgres://[::1]:1,[::2]:2/d', ['postgres://[::1]:1/d', 'postgres://[::2]:2/d']],
    ['postgres:///d?host=/tmp', ['postgres:///d?host=/tmp']],
    ['mysql://h1,h2/d', []],
  ])('%s has one URL for each host', (text, urls) => {
    expect(hostUrlsOf(text)).toEqual(urls);
  });

  it.each([
    ['postgres://u:secret@h1:1,h2/d', 'postgres at h1:1,h2/d'],
    ['postgres:///d?host=/tmp', 'postgres at localhost/d'],
  ])('%s is described without its password', (text, description) => {
    expect(describeHosts(hostUrlsOf(text))).toBe(description);
  });
});
