// Asks once more before something that cannot be taken back.
import { Button, Group, Modal, Text } from "@mantine/core";

type Props = {
  title: string;
  text: string;
  verb: string;
  opened: boolean;
  busy: boolean;
  onYes: () => void;
  onNo: () => void;
  color?: string;
};

export function Confirm({ title, text, verb, opened, busy, onYes, onNo, color = "red" }: Props) {
  return (
    <Modal opened={opened} onClose={onNo} title={title} closeButtonProps={{ "aria-label": "Close" }}>
      <Text size="sm" mb="md">
        {text}
      </Text>
      <Group justify="flex-end">
        <Button variant="default" onClick={onNo}>
          No
        </Button>
        <Button color={color} loading={busy} onClick={onYes}>
          {verb}
        </Button>
      </Group>
    </Modal>
  );
}
