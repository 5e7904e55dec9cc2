// GraphiQL over this origin's /graphql: HTTP for queries and mutations, graphql-transport-ws for subscriptions.
import React from 'react';
import { createRoot } from 'react-dom/client';
import { GraphiQL } from 'graphiql';
import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { tabs } from './tabs.js';

const socket = new URL('/graphql', location.href);
socket.protocol = socket.protocol === 'https:' ? 'wss:' : 'ws:';
// The headers editor's `authorization` goes into the payload of `connection_init`, where the server looks for it.
const fetcher = createGraphiQLFetcher({ url: '/graphql', subscriptionUrl: socket.href });

createRoot(document.getElementById('graphiql')).render(
  <GraphiQL fetcher={fetcher} defaultTabs={tabs} defaultEditorToolsVisibility="headers" />,
);
