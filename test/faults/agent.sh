#!/bin/sh
# The agent of the fault tests: one stage and a result, or work for a while when it is told to wait.
request=$(cat)
echo '{"type":"stage","stage":"work","message":"at work"}'
case "$request" in
  *'"instruction":"wait'*) exec sleep 20 ;;
esac
echo '{"type":"result","result":"done"}'
