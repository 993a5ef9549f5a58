import { Rest, Room, admission } from '@parley/sdk';
import { useChat, useMeeting, useParticipants, useTracks, useVideo } from '@parley/sdk/react';
import { createElement, useEffect } from 'react';
import { createRoot } from 'react-dom/client';

/** A meeting: who is there, cameras, chat. */
function Meeting({ server, token, meeting, name }) {
  const open = () => new Room({ admit: admission(new Rest(server), meeting, { name, admission_token: token }) });
  const { room, participant, error } = useMeeting(open, [meeting]);
  const people = useParticipants(room);
  const cameras = useTracks(room, 'camera');
  const { messages, send } = useChat(room);
  // Our id stays the same while the connection changes, so this is said once.
  useEffect(() => { if (participant) send(`${name} is here`); }, [participant, name, send]);
  if (error) return createElement('p', { role: 'alert' }, error.message);
  return createElement('main', null,
    createElement('ul', null, people.map(({ id, name: who }) => createElement('li', { key: id }, who))),
    cameras.map((track) => createElement(Camera, { key: track.id, room, track })),
    createElement('ol', null, messages.map(({ text }, number) => createElement('li', { key: number }, text))));
}

function Camera({ room, track }) {
  return createElement('video', { ref: useVideo(room, track), autoPlay: true, muted: true, width: 320, height: 180 });
}

/** Show a meeting in an element; return a function that ends it. */
export async function run({ server, key, meeting, identity = 'react', element = document.body }) {
  const { token } = await new Rest(server, { bearer: key }).admit(meeting, { identity, name: identity });
  const root = createRoot(element);
  root.render(createElement(Meeting, { server, token, meeting, name: identity }));
  return () => root.unmount();
}
