import { describe, expect, it } from 'vitest';

import { aclView } from './views.ts';

describe('what is told of an ACL', () => {
  it('has everything known about its owner and its grantees', () => {
    const uri = 'http://acs.amazonaws.com/groups/global/AllUsers';
    const view = aclView({
      owner: { id: '7f3a', displayName: 'Ann' },
      grants: [
        { grantee: { type: 'CanonicalUser', id: '9c1b', displayName: 'Bob' }, permission: 'WRITE_ACP' },
        { grantee: { type: 'CanonicalUser', id: '9c1b' }, permission: 'READ' },
        { grantee: { type: 'Group', uri }, permission: 'READ' },
      ],
    });
    expect(view).toEqual({
      owner: { id: '7f3a', display_name: 'Ann' },
      grants: [
        { grantee: { type: 'CanonicalUser', id: '9c1b', display_name: 'Bob' }, permission: 'WRITE_ACP' },
        { grantee: { type: 'CanonicalUser', id: '9c1b' }, permission: 'READ' },
        { grantee: { type: 'Group', uri }, permission: 'READ' },
      ],
    });
  });
});
